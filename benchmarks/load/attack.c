/* An attack: so many connections a second from addresses all over 127/8, whatever becomes of them.
 *
 * Of four connections one asks for the status and one for a login under a name that nobody has, one
 * sends half a handshake and one what is none. Each is reset after a while, answered or not.
 */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

enum { HELD = 2048 };            /* open at a time: a tenth of a second at 20,000 */

static int held[HELD];
static uint64_t attempts, connected, failed;
static uint64_t noise = 0x9E3779B97F4A7C15u;

static uint32_t random_below(uint32_t bound)
{
    noise ^= noise << 13;
    noise ^= noise >> 7;
    noise ^= noise << 17;
    return (uint32_t)(noise >> 32) % bound;
}

static size_t opening(uint8_t *out)
{
    size_t n;
    switch (attempts % 4) {
    case 0: return hello_status(out);
    case 1: return hello_login(out, &joins, (uint32_t)attempts);
    case 2: n = hello_status(out); return n / 2;
    default: memcpy(out, "GET / HTTP/1.1\r\n\r\n", 18); return 18;
    }
}

static void let_go(int fd)
{
    struct linger at_once = { 1, 0 };
    setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    close(fd);
}

static void attempt(void)
{
    uint8_t first[FIRST_MAX];
    int *place = &held[attempts % HELD];
    struct sockaddr_in source = { .sin_family = AF_INET };
    /* Spread over 127.2.0.0 to 127.255.255.255, so that well-behaved players are none of them. */
    uint32_t which = (uint32_t)((uint64_t)random_below(opt.sessions) * 2654435761u % 0xFE0000u);
    source.sin_addr.s_addr = htonl(0x7F020000u + which);
    if (*place)
        let_go(*place);
    *place = 0;
    attempts++;
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0) {
        failed++;
        return;
    }
    setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
    if (bind(fd, (struct sockaddr *)&source, sizeof source) ||
        (connect(fd, (struct sockaddr *)&opt.connect, sizeof opt.connect) &&
         errno != EINPROGRESS)) {
        failed++;
        close(fd);
        return;
    }
    /* On loopback the handshake is over by now, unless the proxy's queue is full. */
    if (send(fd, first, opening(first), MSG_NOSIGNAL) > 0)
        connected++;
    *place = fd;
}

static void run(void)
{
    struct timespec nap = { 0, 500000 };
    announce();
    report_begin(&attack);
    uint64_t began = now_ns(), now = began, until = began + (uint64_t)(opt.seconds * 1e9);
    while (now < until) {
        uint64_t due = (uint64_t)((double)(now - began) / 1e9 * opt.rate);
        while (attempts < due)
            attempt();
        nanosleep(&nap, NULL);
        now = now_ns();
    }
    report_number("units", (double)attempts);
    report_number("per_second", (double)attempts * 1e9 / (double)(now - began));
    report_number("connected", (double)connected);
    report_number("failed", (double)failed);
    report_end();
    for (int i = 0; i < HELD; i++)
        if (held[i])
            let_go(held[i]);
}

const struct subject attack = { .name = "attack", .letter = 'a', .run = run };
