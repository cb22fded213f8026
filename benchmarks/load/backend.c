/* The Minecraft server behind the proxy: reads the first packets and does what the name says. */
#include "load.h"

#include <stdio.h>
#include <string.h>

const struct subject *subject_by_letter(char letter)
{
    static const struct subject *const all[] = { &players, &pingpong, &bulk, &joins, &idle };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        if (all[i]->letter == letter)
            return all[i];
    return NULL;
}

/* One whole frame at data: its size, with *body and *length set; 0: more bytes are needed. */
static size_t frame_at(const uint8_t *data, size_t n, const uint8_t **body, uint32_t *length)
{
    int prefix = varint_get(data, n, length);
    if (prefix < 0 || (prefix > 0 && (!*length || *length > FIRST_MAX)))
        die("backend: bad first packets");
    if (!prefix || n - (size_t)prefix < *length)
        return 0;
    *body = data + prefix;
    return (size_t)prefix + *length;
}

static void login(struct end *e, const uint8_t *body, uint32_t length)
{
    uint8_t answer[64];
    char name[17] = "";
    if (length < 3 || body[0] != 0x00 || body[1] > 16 || body[1] + 2u > length)
        die("backend: bad login start");
    memcpy(name, body + 2, body[1]);
    e->subject = subject_by_letter(name[0]);
    if (!e->subject || sscanf(name + 1, "_%u", &e->index) != 1)
        die("backend: a player that is not of this load");
    e->state = RUNNING;
    e->have = 0;
    if (!e->subject->short_lived)
        send_message(e, answer, login_success(answer, e->index));
    if (e->subject->backend_login)
        e->subject->backend_login(e);
}

/* Status: the request and the ping may come together or apart. */
static size_t status_packet(struct end *e, const uint8_t *frame, size_t size, int protocol)
{
    uint8_t answer[512];
    e->subject = &status;
    if (size == 2) {
        send_message(e, answer, status_response(answer, protocol));
    } else {
        send_message(e, frame, size);
        e->done = true;
    }
    return size;
}

void backend_first(struct end *e, const uint8_t *data, size_t n)
{
    const uint8_t *body;
    uint32_t length, protocol;
    if (e->have + n > FIRST_MAX)
        die("backend: first packets are too long");
    memcpy(e->first + e->have, data, n);
    e->have += (uint32_t)n;

    size_t used = frame_at(e->first, e->have, &body, &length);
    if (!used)
        return;
    if (body[0] != 0x00 || varint_get(body + 1, length - 1, &protocol) < 1)
        die("backend: no handshake");
    uint8_t intent = body[length - 1];
    size_t handshake = used, size;
    /* e->count: bytes behind the handshake that were dealt with (status only). */
    while ((size = frame_at(e->first + handshake + e->count, e->have - handshake - e->count,
                            &body, &length))) {
        const uint8_t *frame = e->first + handshake + e->count;
        if (intent == 1) {
            e->count += status_packet(e, frame, size, (int)protocol);
            continue;
        }
        uint8_t rest[FIRST_MAX];
        size_t left = e->have - handshake - size;
        memcpy(rest, frame + size, left);
        e->count = 0;
        login(e, body, length);
        if (left)
            e->subject->backend_data(e, rest, left);
        return;
    }
}

static bool never(void)
{
    return false;
}

int backend_main(void)
{
    if (players.tick)
        loop_tick(players.tick);
    printf("{\"ready\": true}\n");
    fflush(stdout);
    loop_until(never, opt.timeout, "backend");
    return 0;
}
