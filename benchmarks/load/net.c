/* Sockets and the loop. Edge-triggered, one registration per socket, no later change. */
#include "load.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

uint8_t scratch[SCRATCH];
uint32_t clients_ready;
static int epoll_fd = -1;
static struct end listener, ticker;
static void (*tick_function)(void);
static struct end *waiting[1024];
static unsigned n_waiting;

uint64_t now_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

uint64_t cpu_ns(void)
{
    struct timespec t;
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
    return (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec;
}

void die(const char *format, ...)
{
    va_list arguments;
    va_start(arguments, format);
    printf("\n{\"error\": \"");
    vprintf(format, arguments);
    printf("\"}\n");
    va_end(arguments);
    exit(1);
}

static void watch(struct end *e, uint32_t events)
{
    struct epoll_event event = { .events = events | EPOLLET, .data.ptr = e };
    if (epoll_ctl(epoll_fd, EPOLL_CTL_ADD, e->fd, &event))
        die("epoll_ctl: %s", strerror(errno));
}

static void tune(int fd)
{
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &(int){ 1 }, sizeof(int));
    /* BBR, where a machine has it as the default, sets a timer for each segment: in bulk that
     * would make the load the slowest of all. The measured program keeps the machine's default.
     */
    if (opt.bulk)
        setsockopt(fd, IPPROTO_TCP, TCP_CONGESTION, "reno", 4);
}

void loop_open(void)
{
    struct rlimit files;
    getrlimit(RLIMIT_NOFILE, &files);
    files.rlim_cur = files.rlim_max;
    setrlimit(RLIMIT_NOFILE, &files);
    epoll_fd = epoll_create1(EPOLL_CLOEXEC);
    if (!opt.has_listen)
        return;
    listener.fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    setsockopt(listener.fd, SOL_SOCKET, SO_REUSEADDR, &(int){ 1 }, sizeof(int));
    tune(listener.fd);           /* what is accepted inherits it */
    if (bind(listener.fd, (struct sockaddr *)&opt.listen, sizeof opt.listen) ||
        listen(listener.fd, 4096))
        die("cannot listen: %s", strerror(errno));
    watch(&listener, EPOLLIN);
}

static struct end *end_new(int fd, bool backend)
{
    struct end *e = calloc(1, sizeof *e);
    if (!e)
        die("out of memory");
    e->fd = fd;
    e->backend = backend;
    e->state = backend ? GREETING : CONNECTING;
    watch(e, EPOLLIN | EPOLLOUT | EPOLLRDHUP);
    return e;
}

static void accept_all(void)
{
    for (;;) {
        int fd = accept4(listener.fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
        if (fd < 0 && errno == EAGAIN)
            return;
        if (fd < 0 && errno == ECONNABORTED)
            continue;
        if (fd < 0)
            die("accept: %s", strerror(errno));
        end_new(fd, true);
    }
}

struct end *client_connect(const struct subject *subject, uint32_t index)
{
    int fd = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
    if (fd < 0)
        die("socket: %s", strerror(errno));
    tune(fd);
    if ((ntohl(opt.connect.sin_addr.s_addr) >> 24) == 127) {
        /* Spread over source addresses, so that closed connections do not use up the ports. */
        struct sockaddr_in source = { .sin_family = AF_INET };
        source.sin_addr.s_addr = htonl(0x7F010001u + index % SOURCES);
        setsockopt(fd, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, &(int){ 1 }, sizeof(int));
        if (bind(fd, (struct sockaddr *)&source, sizeof source))
            die("bind: %s", strerror(errno));
    }
    if (connect(fd, (struct sockaddr *)&opt.connect, sizeof opt.connect) && errno != EINPROGRESS)
        die("connect: %s", strerror(errno));
    struct end *e = end_new(fd, false);
    e->subject = subject;
    e->index = index;
    e->since = now_ns();
    return e;
}

void end_close(struct end *e)
{
    const struct subject *subject = e->subject;
    if (e->state == CLOSED)
        return;
    /* At a backend the first packets may be missing: somebody only looked whether it is there. */
    if (!opt.backend_only && !(subject ? subject->short_lived : e->backend))
        die("session %u: closed by the %s", e->index, e->backend ? "proxy" : "peer");
    close(e->fd);
    e->state = CLOSED;
    if (subject && subject->closed)
        subject->closed(e);
    free(e);
}

bool send_message(struct end *e, const void *data, size_t n)
{
    ssize_t sent = send(e->fd, data, n, MSG_NOSIGNAL);
    if (sent == (ssize_t)n)
        return true;
    if (sent < 0 && errno == EAGAIN)
        return false;
    if (sent >= 0)
        die("session %u: the peer reads too slowly for this load", e->index);
    if (opt.backend_only || (e->subject && e->subject->short_lived))
        return true;             /* the reading side will see the reset */
    die("session %u: send: %s", e->index, strerror(errno));
}

static void client_greeting(struct end *e, const uint8_t *data, size_t n)
{
    /* Login Success is one frame below 128 bytes; what follows belongs to the subject. */
    size_t taken = 0;
    if (!e->have && n)
        e->first[0] = data[0];
    while (taken < n && e->have < (uint32_t)e->first[0] + 1)
        e->have++, taken++;
    if (e->have < (uint32_t)e->first[0] + 1)
        return;
    e->have = 0;
    e->state = RUNNING;
    clients_ready++;
    if (e->subject->client_login)
        e->subject->client_login(e);
    if (taken < n)
        e->subject->client_data(e, data + taken, n - taken);
}

static void deliver(struct end *e, const uint8_t *data, size_t n)
{
    if (e->state == GREETING && e->backend)
        backend_first(e, data, n);
    else if (e->state == GREETING)
        client_greeting(e, data, n);
    else if (e->backend)
        e->subject->backend_data(e, data, n);
    else
        e->subject->client_data(e, data, n);
}

static void read_all(struct end *e, bool to_end)
{
    /* A read that does not fill the buffer has emptied the socket, unless its end is due. */
    for (;;) {
        /* Bulk is counted and not copied: the load must not be the slower of the two. */
        bool count_only = e->state == RUNNING && e->subject == &bulk;
        size_t room = sizeof scratch;
        if (count_only)
            room = opt.streams ? STREAM_TURN : 4 * sizeof scratch;
        ssize_t n = recv(e->fd, scratch, room, count_only ? MSG_TRUNC : 0);
        if (n > 0)
            deliver(e, scratch, (size_t)n);
        if (e->done || n == 0 || (n < 0 && errno != EAGAIN)) {
            end_close(e);
            return;
        }
        if (n < 0 || ((size_t)n < room && !to_end))
            return;
        if (count_only && opt.streams) {
            end_later(e);
            return;
        }
    }
}

static void client_connected(struct end *e, uint32_t events)
{
    uint8_t hello[FIRST_MAX];
    int error = 0;
    if (events & EPOLLERR) {
        getsockopt(e->fd, SOL_SOCKET, SO_ERROR, &error, &(socklen_t){ sizeof error });
        die("session %u: connect: %s", e->index, strerror(error));
    }
    /* Short-lived connections have no login to wait for: their subject reads from the start. */
    e->state = e->subject->short_lived ? RUNNING : GREETING;
    size_t n = e->subject == &status ? hello_status(hello)
                                     : hello_login(hello, e->subject, e->index);
    send_message(e, hello, n);
}

static void end_event(struct end *e, uint32_t events)
{
    if (e->state == CONNECTING) {
        if (!(events & (EPOLLOUT | EPOLLERR | EPOLLHUP)))
            return;
        client_connected(e, events);
    }
    if (e->backend && e->state == RUNNING && (events & EPOLLOUT) && e->subject->backend_writable)
        e->subject->backend_writable(e);
    if (events & (EPOLLIN | EPOLLRDHUP | EPOLLHUP | EPOLLERR))
        read_all(e, events & (EPOLLRDHUP | EPOLLHUP | EPOLLERR));
}

void end_later(struct end *e)
{
    if (e->later)
        return;
    if (n_waiting == sizeof waiting / sizeof *waiting)
        die("too many streams");
    e->later = true;
    waiting[n_waiting++] = e;
}

static void turn_of_the_waiting(void)
{
    struct end *now[sizeof waiting / sizeof *waiting];
    unsigned n = n_waiting;
    memcpy(now, waiting, n * sizeof *now);
    n_waiting = 0;
    for (unsigned i = 0; i < n; i++) {
        now[i]->later = false;
        end_event(now[i], now[i]->backend ? EPOLLOUT : EPOLLIN);
    }
}

void loop_once(int timeout_ms)
{
    struct epoll_event events[256];
    int n = epoll_wait(epoll_fd, events, 256, n_waiting ? 0 : timeout_ms);
    for (int i = 0; i < n; i++) {
        struct end *e = events[i].data.ptr;
        if (e == &listener)
            accept_all();
        else if (e != &ticker)
            end_event(e, events[i].events);
    }
    turn_of_the_waiting();
    uint64_t expired;
    if (tick_function && read(ticker.fd, &expired, sizeof expired) == sizeof expired)
        tick_function();
}

void loop_until(bool (*done)(void), double seconds, const char *what)
{
    uint64_t deadline = now_ns() + (uint64_t)(seconds * 1e9);
    while (!done()) {
        if (now_ns() > deadline)
            die("%s: not done after %.0f seconds", what, seconds);
        loop_once(100);
    }
}

void loop_tick(void (*tick)(void))
{
    struct itimerspec each = { { 0, 1000000 }, { 0, 1000000 } };
    ticker.fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK | TFD_CLOEXEC);
    timerfd_settime(ticker.fd, 0, &each, NULL);
    tick_function = tick;
    watch(&ticker, EPOLLIN);
}

static uint32_t opened;
static bool all_ready(void)
{
    return clients_ready == opened;
}

/* Sessions are opened a few at a time, as a proxy meets them, not in one burst. */
static bool room_to_open(void)
{
    return opened - clients_ready < opt.at_once;
}

void clients_connect(const struct subject *subject, uint32_t count)
{
    for (uint32_t index = 0; index < count; index++, opened++) {
        loop_until(room_to_open, opt.timeout, "connecting");
        client_connect(subject, index);
    }
    loop_until(all_ready, opt.timeout, "connecting");
}
