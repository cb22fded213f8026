/* The bytes of a Minecraft connection that the load speaks: enough to be routed and answered. */
#include "load.h"

#include <stdio.h>
#include <string.h>

size_t varint_put(uint8_t *out, uint32_t value)
{
    size_t n = 0;
    for (; value >= 0x80; value >>= 7)
        out[n++] = (uint8_t)value | 0x80;
    out[n++] = (uint8_t)value;
    return n;
}

int varint_get(const uint8_t *p, size_t n, uint32_t *value)
{
    *value = 0;
    for (size_t i = 0; i < 5; i++) {
        if (i >= n)
            return 0;
        *value |= (uint32_t)(p[i] & 0x7F) << (7 * i);
        if (p[i] < 0x80)
            return (int)i + 1;
    }
    return -1;
}

/* Put the length in front of a body and return the size of the frame. */
static size_t frame(uint8_t *out, const uint8_t *body, size_t n)
{
    size_t prefix = varint_put(out, (uint32_t)n);
    memcpy(out + prefix, body, n);
    return prefix + n;
}

static size_t string_put(uint8_t *out, const char *text)
{
    size_t length = strlen(text), prefix = varint_put(out, (uint32_t)length);
    memcpy(out + prefix, text, length);
    return prefix + length;
}

static size_t handshake(uint8_t *out, uint8_t intent)
{
    uint8_t body[512];
    size_t n = 0;
    uint16_t port = ntohs(opt.connect.sin_port);
    body[n++] = 0x00;
    n += varint_put(body + n, (uint32_t)opt.protocol);
    n += string_put(body + n, opt.host);
    body[n++] = (uint8_t)(port >> 8);
    body[n++] = (uint8_t)port;
    body[n++] = intent;
    return frame(out, body, n);
}

static size_t player(uint8_t *uuid, char name[17], char letter, uint32_t index)
{
    memset(uuid, 0, 16);
    uuid[6] = 0x30;              /* version 3, as offline players have */
    uuid[8] = 0x80;
    memcpy(uuid + 12, &index, 4);
    return (size_t)snprintf(name, 17, "%c_%u", letter, index);
}

size_t hello_login(uint8_t *out, const struct subject *subject, uint32_t index)
{
    uint8_t body[64], uuid[16];
    char name[17];
    size_t n = 0, size = handshake(out, 2);
    player(uuid, name, subject->letter, index);
    body[n++] = 0x00;
    n += string_put(body + n, name);
    memcpy(body + n, uuid, 16);
    n += 16;
    return size + frame(out + size, body, n);
}

size_t hello_status(uint8_t *out)
{
    size_t size = handshake(out, 1);
    out[size++] = 1;
    out[size++] = 0x00;
    return size;
}

size_t login_success(uint8_t *out, uint32_t index)
{
    uint8_t body[64];
    char name[17];
    size_t n = 0;
    body[n++] = 0x02;
    player(body + n, name, 'p', index);
    n += 16;
    n += string_put(body + n, name);
    body[n++] = 0;               /* no properties */
    body[n++] = 1;               /* strict error handling, protocols 766 and 767 */
    return frame(out, body, n);
}

size_t login_disconnect(uint8_t *out)
{
    uint8_t body[64];
    size_t n = 0;
    body[n++] = 0x00;
    n += string_put(body + n, "{\"text\":\"Not whitelisted\"}");
    return frame(out, body, n);
}

size_t status_response(uint8_t *out, int protocol)
{
    char json[256];
    uint8_t body[300];
    size_t n = 0;
    snprintf(json, sizeof json,
             "{\"version\":{\"name\":\"1.21.1\",\"protocol\":%d},"
             "\"players\":{\"max\":100,\"online\":3,\"sample\":[]},"
             "\"description\":{\"text\":\"A Minecraft server under load\"},"
             "\"enforcesSecureChat\":false}", protocol);
    body[n++] = 0x00;
    n += string_put(body + n, json);
    return frame(out, body, n);
}
