/* Players in a world: every session gets size_down bytes and sends size_up bytes, rate times a
 * second. The sessions are spread evenly over the milliseconds of a tick, as many servers with
 * some players each would be. A message carries the time at which it was sent.
 */
#include "load.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { HEAD = 16, MESSAGE_MAX = 65536 };

static struct end **clients, **backends;
static uint32_t capacity, slots, slot;
static bool running;
static uint64_t stop_at, sent, received, refused, next_tick, late_max;
static struct histogram down, up;
static uint8_t message[MESSAGE_MAX];

static void reserve(uint32_t index)
{
    uint32_t more = index >= opt.sessions ? index + 1024 : opt.sessions;
    if (index < capacity)
        return;
    clients = realloc(clients, more * sizeof *clients);
    backends = realloc(backends, more * sizeof *backends);
    if (!clients || !backends)
        die("out of memory");
    memset(clients + capacity, 0, (more - capacity) * sizeof *clients);
    memset(backends + capacity, 0, (more - capacity) * sizeof *backends);
    capacity = more;
}

/* A frame of just this size with the time in it. */
static void send_stamped(struct end *e, uint32_t size)
{
    size_t n = size > 129 ? 2 : 1;
    varint_put(message, size - (uint32_t)n);
    message[n] = 0x01;
    uint64_t now = now_ns();
    memcpy(message + n + 1, &now, 8);
    if (send_message(e, message, size))
        sent++;
    else
        refused++;
}

static void receive(struct end *e, const uint8_t *data, size_t n, uint32_t size,
                    struct histogram *h)
{
    uint64_t now = now_ns(), stamp;
    while (n) {
        size_t part = size - e->have < n ? size - e->have : n;
        if (e->have < HEAD)
            memcpy(e->first + e->have, data, part < HEAD - e->have ? part : HEAD - e->have);
        e->have += (uint32_t)part;
        data += part;
        n -= part;
        if (e->have < size)
            return;
        memcpy(&stamp, e->first + (size > 129 ? 3 : 2), 8);
        if (e->first[0] != (size > 129 ? ((size - 2) & 0x7F) | 0x80 : size - 1))
            die("session %u: bytes were lost or changed", e->index);
        e->have = 0;
        received++;
        histogram_add(h, now - stamp);
    }
}

static void client_data(struct end *e, const uint8_t *data, size_t n)
{
    receive(e, data, n, opt.size_down, &down);
}

static void backend_data(struct end *e, const uint8_t *data, size_t n)
{
    receive(e, data, n, opt.size_up, &up);
}

static void client_login(struct end *e)
{
    reserve(e->index);
    clients[e->index] = e;
}

static void backend_login(struct end *e)
{
    reserve(e->index);
    backends[e->index] = e;
}

static void closed(struct end *e)
{
    (e->backend ? backends : clients)[e->index] = NULL;
}

static void send_slot(void)
{
    for (uint32_t i = slot; i < capacity; i += slots) {
        if (clients[i])
            send_stamped(clients[i], opt.size_up);
        if (backends[i])
            send_stamped(backends[i], opt.size_down);
    }
    slot = (slot + 1) % slots;
}

static void tick(void)
{
    uint64_t now = now_ns();
    if (!running && !opt.backend_only)
        return;
    if (!next_tick) {
        slots = 1000 / opt.rate;
        next_tick = now;
    }
    if (now > next_tick && now - next_tick > late_max)
        late_max = now - next_tick;
    for (; next_tick <= now; next_tick += 1000000)
        send_slot();
}

static bool time_is_up(void)
{
    return now_ns() >= stop_at;
}

static bool all_received(void)
{
    return received >= sent;
}

static void run(void)
{
    if (opt.size_down < HEAD || opt.size_up < HEAD || opt.size_down > 16000 ||
        opt.size_up > 16000 || !opt.rate || opt.rate > 1000)
        die("players: sizes from 16 to 16000 bytes, rates from 1 to 1000");
    clients_connect(&players, opt.sessions);
    clients_connect(&bulk, opt.streams);
    loop_tick(tick);
    announce();
    running = true;
    report_begin(&players);
    streams_run(true);
    stop_at = now_ns() + (uint64_t)(opt.seconds * 1e9);
    loop_until(time_is_up, opt.seconds + opt.timeout, "players");
    running = false;
    uint64_t bulk_bytes = streams_received();
    streams_run(false);
    if (opt.has_listen)
        loop_until(all_received, opt.timeout, "players: the last messages");
    report_number("units", (double)received);
    report_number("bulk_bytes", (double)bulk_bytes);
    report_number("refused_sends", (double)refused);
    report_number("late_max_us", (double)late_max / 1e3);
    report_latency("latency_down_us", &down);
    report_latency("latency_up_us", &up);
    report_end();
}

const struct subject players = {
    .name = "players", .letter = 'p', .run = run, .tick = tick,
    .client_login = client_login, .client_data = client_data,
    .backend_login = backend_login, .backend_data = backend_data, .closed = closed,
};
