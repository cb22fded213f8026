/* What the load says, as lines of JSON: first that it is ready, in the end the result. */
#include "load.h"

#include <stdio.h>

static uint64_t began, cpu_began;

/* 64 steps for each power of two: values are right to 1.6 per cent. */
void histogram_add(struct histogram *h, uint64_t ns)
{
    unsigned power = ns < 128 ? 0 : 63 - (unsigned)__builtin_clzll(ns) - 6;
    uint64_t bucket = power * 64 + (ns >> power);   /* ns >> power: 64 to 127 from 128 ns on */
    if (bucket >= sizeof h->buckets / sizeof *h->buckets)
        bucket = sizeof h->buckets / sizeof *h->buckets - 1;
    h->buckets[bucket]++;
    h->total++;
    if (ns > h->max)
        h->max = ns;
}

static double percentile_us(const struct histogram *h, double fraction)
{
    uint64_t rank = (uint64_t)(fraction * (double)h->total), seen = 0;
    for (size_t i = 0; i < sizeof h->buckets / sizeof *h->buckets; i++) {
        seen += h->buckets[i];
        if (seen > rank)
            return (double)(i < 128 ? i : (i % 64 + 64) << (i / 64 - 1)) / 1e3;
    }
    return (double)h->max / 1e3;
}

/* The runner reads the proxy's CPU time here; no traffic flows until it lets the load go on. */
void announce(void)
{
    char line[64];
    printf("{\"ready\": true}\n");
    fflush(stdout);
    if (!fgets(line, sizeof line, stdin))
        return;                  /* nobody there to wait for */
}

void report_begin(const struct subject *subject)
{
    printf("{\"load\": \"%s\"", subject->name);
    began = now_ns();
    cpu_began = cpu_ns();
}

void report_number(const char *key, double value)
{
    printf(", \"%s\": %.10g", key, value);
}

void report_latency(const char *key, const struct histogram *h)
{
    printf(", \"%s\": {\"p50\": %.1f, \"p99\": %.1f, \"p99.9\": %.1f, \"max\": %.1f}", key,
           percentile_us(h, 0.5), percentile_us(h, 0.99), percentile_us(h, 0.999),
           (double)h->max / 1e3);
}

/* Sessions stay open until the runner has looked at the proxy and closes stdin. */
void report_end(void)
{
    char line[64];
    printf(", \"seconds\": %.6f, \"load_cpu_seconds\": %.6f}\n",
           (double)(now_ns() - began) / 1e9, (double)(cpu_ns() - cpu_began) / 1e9);
    fflush(stdout);
    while (fgets(line, sizeof line, stdin))
        continue;
}
