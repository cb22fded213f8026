/* Bulk: the backend sends opt.bytes to every session as fast as they are taken. Beside players
 * (opt.streams) there is no end to the bytes, and a stream gets STREAM_TURN of them in a turn of
 * the loop: it is the proxy that is to be seen to keep the players waiting, not the load.
 */
#include "load.h"

#include <errno.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/sendfile.h>
#include <sys/socket.h>
#include <unistd.h>

enum { BLOCK = 4 << 20 };

static bool running;
static uint64_t received;
static struct end *sources[1024];
static uint32_t n_sources;
static int block = -1;          /* a file in memory: sendfile lends its pages, nothing is copied */

static void make_block(void)
{
    block = memfd_create("bulk", MFD_CLOEXEC);
    for (size_t done = 0; done < BLOCK; done += sizeof scratch)
        if (block < 0 || write(block, scratch, sizeof scratch) != sizeof scratch)
            die("memfd: %s", strerror(errno));
}

static void backend_writable(struct end *e)
{
    if (!running && !opt.backend_only)
        return;
    while (e->count < opt.bytes) {
        uint64_t left = opt.bytes - e->count;
        off_t from = (off_t)(e->count % BLOCK);
        size_t part = left < BLOCK - (uint64_t)from ? left : BLOCK - (size_t)from;
        if (opt.streams && part > STREAM_TURN)
            part = STREAM_TURN;
        ssize_t n = sendfile(e->fd, block, &from, part);
        if (n < 0 && errno == EAGAIN)
            return;
        if (n < 0)
            die("session %u: send: %s", e->index, strerror(errno));
        e->count += (uint64_t)n;
        if (opt.streams) {
            end_later(e);
            return;
        }
    }
}

static void backend_login(struct end *e)
{
    if (n_sources == sizeof sources / sizeof *sources)
        die("bulk: too many sessions");
    if (block < 0)
        make_block();
    sources[n_sources++] = e;
    backend_writable(e);
}

static void backend_data(struct end *e, const uint8_t *data, size_t n)
{
    (void)e, (void)data, (void)n;
}

static void client_data(struct end *e, const uint8_t *data, size_t n)
{
    (void)data;
    e->count += n;
    received += n;
    if (e->count > opt.bytes)
        die("session %u: bytes were added", e->index);
}

static bool all_received(void)
{
    return received == opt.bytes * opt.sessions;
}

void streams_run(bool on)
{
    running = on;
    for (uint32_t i = 0; on && i < n_sources; i++)
        backend_writable(sources[i]);
}

uint64_t streams_received(void)
{
    return received;
}

static void run(void)
{
    clients_connect(&bulk, opt.sessions);
    announce();
    report_begin(&bulk);
    streams_run(true);
    loop_until(all_received, opt.timeout, "bulk");
    report_number("units", (double)received);
    report_end();
}

const struct subject bulk = {
    .name = "bulk", .letter = 'b', .run = run,
    .client_data = client_data, .backend_login = backend_login,
    .backend_data = backend_data, .backend_writable = backend_writable,
};
