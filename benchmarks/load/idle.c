/* Sessions that are there and say nothing: for what they cost in memory. */
#include "load.h"

static void nothing(struct end *e, const uint8_t *data, size_t n)
{
    (void)e, (void)data, (void)n;
}

static void run(void)
{
    announce();
    report_begin(&idle);
    clients_connect(&idle, opt.sessions);
    report_number("units", (double)clients_ready);
    report_end();
}

const struct subject idle = {
    .name = "idle", .letter = 'i', .run = run, .client_data = nothing, .backend_data = nothing,
};
