/* The command line of the load. */
#include "load.h"

#include <arpa/inet.h>
#include <getopt.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

struct options opt = {
    .host = "bench.localhost", .sessions = 200, .size_down = 1024, .size_up = 40, .rate = 20,
    .at_once = 32, .bytes = 1 << 30, .seconds = 5, .timeout = 60, .protocol = 767,
};

static const char usage[] =
    "load players|pingpong|bulk|joins|status|idle|attack|backend [options]\n"
    "  --connect ADDRESS:PORT   where the players connect: the proxy, or the backend itself\n"
    "  --listen ADDRESS:PORT    be the backend here (left out: it runs elsewhere, as `backend`)\n"
    "  --host NAME              host name in the handshake (bench.localhost)\n"
    "  --protocol NUMBER        protocol number in the handshake (767)\n"
    "  --sessions N             players, pingpong, bulk, idle: sessions at once (200)\n"
    "  --streams N              players: bulk streams beside them, on the same proxy (0)\n"
    "  --seconds S              players, pingpong: how long (5)\n"
    "  --count N                joins, status: connections; pingpong: round trips\n"
    "  --at-once N              connections that are being opened at a time (32)\n"
    "  --bytes N                bulk: bytes for each session (1 GiB)\n"
    "  --down N, --up N         players: bytes of a message (1024, 40); pingpong: --up\n"
    "  --rate N                 players: messages a second, each way (20)\n"
    "  attack: --rate connections a second from --sessions addresses, for --seconds\n"
    "  --timeout S              give up when nothing else ends it (60)\n"
    "Prints {\"ready\": true}, waits for a line or the end of its input, prints the result as one\n"
    "line of JSON, and keeps the sessions until its input ends.\n";

static struct sockaddr_in address(const char *text)
{
    struct sockaddr_in result = { .sin_family = AF_INET };
    char host[64] = "";
    const char *colon = strrchr(text, ':');
    if (colon && (size_t)(colon - text) < sizeof host) {
        memcpy(host, text, (size_t)(colon - text));
        result.sin_port = htons((uint16_t)atoi(colon + 1));
    }
    if (!result.sin_port || inet_pton(AF_INET, host, &result.sin_addr) != 1) {
        fprintf(stderr, "not an IPv4 address with a port: %s\n", text);
        exit(2);
    }
    return result;
}

static void read_options(int argc, char **argv)
{
    static const struct option names[] = {
        { "connect", 1, 0, 'c' }, { "listen", 1, 0, 'l' }, { "host", 1, 0, 'h' },
        { "protocol", 1, 0, 'p' }, { "sessions", 1, 0, 'n' }, { "seconds", 1, 0, 's' },
        { "count", 1, 0, 'N' }, { "at-once", 1, 0, 'a' }, { "bytes", 1, 0, 'b' },
        { "down", 1, 0, 'd' }, { "up", 1, 0, 'u' }, { "rate", 1, 0, 'r' },
        { "timeout", 1, 0, 't' }, { "streams", 1, 0, 'S' }, { 0, 0, 0, 0 },
    };
    int key;
    while ((key = getopt_long(argc, argv, "", names, NULL)) != -1) {
        switch (key) {
        case 'c': opt.connect = address(optarg); opt.has_connect = true; break;
        case 'l': opt.listen = address(optarg); opt.has_listen = true; break;
        case 'h': opt.host = optarg; break;
        case 'p': opt.protocol = atoi(optarg); break;
        case 'n': opt.sessions = (uint32_t)atol(optarg); break;
        case 's': opt.seconds = atof(optarg); break;
        case 'N': opt.count = (uint32_t)atol(optarg); break;
        case 'a': opt.at_once = (uint32_t)atol(optarg); break;
        case 'b': opt.bytes = strtoull(optarg, NULL, 10); break;
        case 'd': opt.size_down = (uint32_t)atol(optarg); break;
        case 'u': opt.size_up = (uint32_t)atol(optarg); break;
        case 'r': opt.rate = (uint32_t)atol(optarg); break;
        case 'S': opt.streams = (uint32_t)atol(optarg); break;
        case 't': opt.timeout = atof(optarg); break;
        default: fputs(usage, stderr); exit(2);
        }
    }
    if (!opt.sessions || !opt.at_once || strlen(opt.host) > 255) {
        fputs(usage, stderr);
        exit(2);
    }
}

int main(int argc, char **argv)
{
    static const struct subject *const all[] = { &players, &pingpong, &bulk,
                                                 &joins,   &status,   &idle, &attack };
    signal(SIGPIPE, SIG_IGN);
    if (argc < 2) {
        fputs(usage, stderr);
        return 2;
    }
    read_options(argc - 1, argv + 1);
    if (!strcmp(argv[1], "backend") && opt.has_listen) {
        opt.backend_only = true;
        loop_open();
        return backend_main();
    }
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        if (strcmp(argv[1], all[i]->name) || !opt.has_connect)
            continue;
        if (all[i] == &joins || all[i] == &status)
            opt.count = opt.count ? opt.count : 10000;
        opt.bulk = all[i] == &bulk || opt.streams;
        if (opt.streams)
            opt.bytes = UINT64_MAX;
        loop_open();
        all[i]->run();
        return 0;
    }
    fputs(usage, stderr);
    return 2;
}
