/* Ping-pong: every session has one message of size_up bytes under way, echoed by the backend. */
#include "load.h"

#include <string.h>

static uint64_t stop_at, round_trips, under_way;
static struct histogram round_trip;
static bool running;
static struct end *waiting[65536];
static uint32_t n_waiting;

static void ping(struct end *e)
{
    uint8_t message[16384];
    memset(message, 0x55, opt.size_up);
    e->count++;
    memcpy(message, &e->count, 8);
    e->since = now_ns();
    under_way++;
    if (!send_message(e, message, opt.size_up))
        die("session %u: no room for one message", e->index);
}

static void client_login(struct end *e)
{
    waiting[n_waiting++] = e;
}

static void client_data(struct end *e, const uint8_t *data, size_t n)
{
    if (e->have < 8)
        memcpy(e->first + e->have, data, n < 8 - e->have ? n : 8 - e->have);
    e->have += (uint32_t)n;
    if (e->have < opt.size_up)
        return;
    if (e->have > opt.size_up || memcmp(e->first, &e->count, 8))
        die("session %u: bytes were added or changed", e->index);
    e->have = 0;
    under_way--;
    round_trips++;
    histogram_add(&round_trip, now_ns() - e->since);
    if (running)
        ping(e);
}

static void backend_data(struct end *e, const uint8_t *data, size_t n)
{
    if (!send_message(e, data, n))
        die("session %u: no room for one echo", e->index);
}

static bool time_is_up(void)
{
    if (opt.count ? round_trips + under_way >= opt.count : now_ns() >= stop_at)
        running = false;
    return !running;
}

static bool all_back(void)
{
    return under_way == 0;
}

static void run(void)
{
    if (opt.sessions > 65536 || opt.size_up < 8 || opt.size_up > 16384)
        die("pingpong: up to 65536 sessions, messages of 8 to 16384 bytes");
    clients_connect(&pingpong, opt.sessions);
    announce();
    report_begin(&pingpong);
    running = true;
    stop_at = now_ns() + (uint64_t)(opt.seconds * 1e9);
    for (uint32_t i = 0; i < n_waiting; i++)
        ping(waiting[i]);
    loop_until(time_is_up, opt.seconds + opt.timeout, "pingpong");
    loop_until(all_back, opt.timeout, "pingpong: the last messages");
    report_number("units", 2.0 * (double)round_trips);
    report_latency("latency_us", &round_trip);
    report_end();
}

const struct subject pingpong = {
    .name = "pingpong", .letter = 'e', .run = run,
    .client_login = client_login, .client_data = client_data, .backend_data = backend_data,
};
