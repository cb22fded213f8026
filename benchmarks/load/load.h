/* The load of the benchmarks: Minecraft-shaped traffic without Python in its way.
 *
 * One process drives both ends of every session with one epoll loop: the players, who connect to
 * the proxy, and the backend, to which the proxy connects. So one core carries the load and the
 * other the proxy, one clock times a message from end to end, and the same load straight to the
 * backend is the floor. Each subject (players, pingpong ...) is a file that holds both ends of it.
 */
#ifndef LOAD_H
#define LOAD_H

#include <netinet/in.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

enum { FIRST_MAX = 320, SCRATCH = 256 * 1024, SOURCES = 64 };

enum state { CONNECTING, GREETING, RUNNING, CLOSED };

struct end {                     /* one end of one connection */
    int fd;
    bool backend;
    bool done;                   /* close it after this read */
    bool later;                  /* what it has left to do waits for the next turn */
    uint8_t state;
    const struct subject *subject;
    uint32_t index;              /* of the session, given in the player's name */
    uint32_t have;               /* bytes of the frame that is being read */
    uint64_t count;              /* bytes or messages, as the subject likes */
    uint64_t since;              /* ns, when what is being timed began */
    uint8_t first[FIRST_MAX];    /* the first bytes of that frame; at a backend the first packets */
};

struct subject {                 /* what a session does once it has logged in */
    const char *name;
    char letter;                 /* first letter of the player's name tells a backend the subject */
    void (*run)(void);           /* as a client: connect, announce(), work, report() */
    void (*client_login)(struct end *e);
    void (*client_data)(struct end *e, const uint8_t *data, size_t n);
    void (*backend_login)(struct end *e);
    void (*backend_data)(struct end *e, const uint8_t *data, size_t n);
    void (*backend_writable)(struct end *e);
    void (*tick)(void);          /* every millisecond, if wanted */
    bool short_lived;            /* connections may close; otherwise that ends the run */
    void (*closed)(struct end *e);
};

struct options {
    struct sockaddr_in connect, listen;
    bool has_connect, has_listen, backend_only, bulk;
    const char *host;            /* in the handshake */
    uint32_t sessions, streams, count, size_down, size_up, rate, at_once;
    uint64_t bytes;
    double seconds, timeout;
    int protocol;
};
extern struct options opt;
extern const struct subject players, pingpong, bulk, joins, status, idle, attack;
extern uint8_t scratch[SCRATCH];

/* net.c */
uint64_t now_ns(void);
void die(const char *format, ...) __attribute__((format(printf, 1, 2), noreturn));
void loop_open(void);
void loop_once(int timeout_ms);            /* one epoll_wait and what it brings */
void loop_until(bool (*done)(void), double seconds, const char *what);
void loop_tick(void (*tick)(void));        /* call it every millisecond */
struct end *client_connect(const struct subject *subject, uint32_t index);
void clients_connect(const struct subject *subject, uint32_t count); /* until all are logged in */
void end_later(struct end *e);             /* go on with it in the next turn of the loop */
extern uint32_t clients_ready;
bool send_message(struct end *e, const void *data, size_t n); /* false: no room at all */
void end_close(struct end *e);
uint64_t cpu_ns(void);                     /* of this process */

/* bulk.c: streams beside another subject */
enum { STREAM_TURN = 256 * 1024 };
void streams_run(bool on);
uint64_t streams_received(void);

/* packets.c */
size_t hello_login(uint8_t *out, const struct subject *subject, uint32_t index);
size_t hello_status(uint8_t *out);
size_t login_success(uint8_t *out, uint32_t index);
size_t login_disconnect(uint8_t *out);
size_t status_response(uint8_t *out, int protocol);
int varint_get(const uint8_t *p, size_t n, uint32_t *value);   /* bytes; 0: more; -1: bad */
size_t varint_put(uint8_t *out, uint32_t value);
enum { PING_FRAME = 10 };

/* backend.c */
const struct subject *subject_by_letter(char letter);
void backend_first(struct end *e, const uint8_t *data, size_t n);
int backend_main(void);

/* report.c */
struct histogram { uint64_t buckets[40 * 64], total, max; };
void histogram_add(struct histogram *h, uint64_t ns);
void announce(void);                       /* print "ready", wait for a line on stdin */
void report_begin(const struct subject *subject);
void report_number(const char *key, double value);
void report_latency(const char *key, const struct histogram *h);
void report_end(void);

#endif
