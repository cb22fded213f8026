/* Connections that come and go, at_once of them under way.
 *
 * joins: handshake and login start, answered by a disconnect packet and the end of the stream.
 * status: handshake and request, answered by the status; then ping and pong; the client closes.
 */
#include "load.h"

#include <string.h>

static const struct subject *kind;
static uint32_t started, finished, wanted, failed;
static struct histogram answered;

static void start_more(void)
{
    while (started < wanted && started - finished < opt.at_once)
        client_connect(kind, started++);
}

static void closed(struct end *e)
{
    if (e->backend)
        return;
    if (!e->done)
        failed++;
    finished++;
    start_more();
}

/* Collect one frame; true once all of it is there. */
static bool frame_whole(struct end *e, const uint8_t *data, size_t n)
{
    uint32_t length;
    if (e->have < FIRST_MAX)
        memcpy(e->first + e->have, data, n < FIRST_MAX - e->have ? n : FIRST_MAX - e->have);
    e->have += (uint32_t)n;
    int prefix = varint_get(e->first, e->have < FIRST_MAX ? e->have : FIRST_MAX, &length);
    return prefix > 0 && e->have >= (uint32_t)prefix + length;
}

static void join_data(struct end *e, const uint8_t *data, size_t n)
{
    if (!frame_whole(e, data, n))
        return;
    histogram_add(&answered, now_ns() - e->since);
    e->done = true;
}

static void join_login(struct end *e)
{
    uint8_t answer[64];
    send_message(e, answer, login_disconnect(answer));
    e->done = true;
}

static void status_data(struct end *e, const uint8_t *data, size_t n)
{
    static const uint8_t ping[PING_FRAME] = { 9, 0x01, 1, 2, 3, 4, 5, 6, 7, 8 };
    if (!frame_whole(e, data, n))
        return;
    e->have = 0;
    if (!e->count++) {
        histogram_add(&answered, now_ns() - e->since);
        send_message(e, ping, sizeof ping);
    } else if (!memcmp(e->first, ping, sizeof ping)) {
        e->done = true;
    }
}

static void nothing(struct end *e, const uint8_t *data, size_t n)
{
    (void)e, (void)data, (void)n;
}

static bool all_finished(void)
{
    return finished == wanted;
}

static void churn(const struct subject *subject)
{
    kind = subject;
    wanted = opt.count / 20 + 1;               /* what is made at first use is made now */
    start_more();
    loop_until(all_finished, opt.timeout, "first connections");
    memset(&answered, 0, sizeof answered);
    started = finished = 0;
    wanted = opt.count;
    announce();
    report_begin(subject);
    start_more();
    loop_until(all_finished, opt.timeout, subject->name);
    if (failed)
        die("%u connections were closed without the answer", failed);
    report_number("units", (double)finished);
    report_latency("latency_us", &answered);
    report_end();
}

static void run_joins(void)
{
    churn(&joins);
}

static void run_status(void)
{
    churn(&status);
}

const struct subject joins = {
    .name = "joins", .letter = 'j', .run = run_joins, .short_lived = true, .closed = closed,
    .client_data = join_data, .backend_login = join_login, .backend_data = nothing,
};

const struct subject status = {
    .name = "status", .letter = 's', .run = run_status, .short_lived = true, .closed = closed,
    .client_data = status_data, .backend_data = nothing,
};
