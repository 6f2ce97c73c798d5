// A function server that is not the limit of a benchmark: one thread, epoll, no library.
//
// Function demo/greeter with the state `seen` (io.statefun.types/int). A request with n
// invocations answers seen += n and n Kafka egress records to demo.io/out: the key is the
// function id, the value "<seen>;<argument bytes>", the topic comes from the command line.
// A request without the state is answered with the state's spec (the handshake).
// GET /stats tells what it did since the last GET /stats.
//
// build: cc -O2 -o fnserver fnserver.c        usage: fnserver PORT TOPIC
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VARINT = 0, FIXED64 = 1, BYTES = 2, FIXED32 = 5 };

struct slice {
    const uint8_t *at;
    size_t length;
};

struct buffer {
    uint8_t *data;
    size_t length, capacity;
};

struct connection {
    int fd, waits_for_write;
    struct buffer in, out;
    size_t sent;
};

static struct {
    unsigned long requests, invocations, handshakes, batch_max;
} stats;

static struct slice topic;

#define TEXT(literal) ((struct slice){(const uint8_t *)(literal), sizeof(literal) - 1})
#define INT_TYPE TEXT("io.statefun.types/int")
#define RECORD_TYPE TEXT("type.googleapis.com/io.statefun.sdk.egress.KafkaProducerRecord")

// ---- buffers ----

static void reserve(struct buffer *buffer, size_t more) {
    if (buffer->length + more <= buffer->capacity) return;
    buffer->capacity = (buffer->length + more) * 2;
    buffer->data = realloc(buffer->data, buffer->capacity);
    if (!buffer->data) abort();
}

static void drop_front(struct buffer *buffer, size_t count) {
    buffer->length -= count;
    memmove(buffer->data, buffer->data + count, buffer->length);
}

// ---- reading protobuf: a field that does not fit its slice ends the reading with -1 ----

static int read_varint(struct slice *rest, uint64_t *value) {
    *value = 0;
    for (int shift = 0; shift < 64 && rest->length; shift += 7) {
        uint8_t byte = *rest->at++;
        rest->length--;
        *value |= (uint64_t)(byte & 0x7f) << shift;
        if (byte < 0x80) return 1;
    }
    return -1;
}

// Returns the field number, 0 at the end, -1 when it is no protobuf. Bytes are in *content.
static int next_field(struct slice *rest, struct slice *content) {
    uint64_t tag, value = 0;
    if (!rest->length) return 0;
    if (read_varint(rest, &tag) < 0) return -1;
    switch (tag & 7) {
    case VARINT:
        *content = (struct slice){rest->at, 0};
        return read_varint(rest, &value) < 0 ? -1 : (int)(tag >> 3);
    case BYTES:
        if (read_varint(rest, &value) < 0) return -1;
        break;
    case FIXED32: value = 4; break;
    case FIXED64: value = 8; break;
    default: return -1;
    }
    if (value > rest->length) return -1;
    *content = (struct slice){rest->at, value};
    rest->at += value;
    rest->length -= value;
    return (int)(tag >> 3);
}

static struct slice field_of(struct slice message, int number) {
    struct slice content, found = {0, 0};
    for (int field; (field = next_field(&message, &content)) > 0;)
        if (field == number) found = content;
    return found;
}

// ---- writing protobuf: room has been reserved, lengths are known before ----

static size_t varint_size(uint64_t value) {
    size_t size = 1;
    for (; value > 0x7f; value >>= 7) size++;
    return size;
}

static size_t field_size(size_t length) { return 1 + varint_size(length) + length; }

static void put_varint(struct buffer *out, uint64_t value) {
    for (; value > 0x7f; value >>= 7) out->data[out->length++] = value | 0x80;
    out->data[out->length++] = value;
}

static void put_raw(struct buffer *out, struct slice content) {
    if (content.length) memcpy(out->data + out->length, content.at, content.length);
    out->length += content.length;
}

static void put_head(struct buffer *out, int field, size_t length) {
    put_varint(out, field << 3 | BYTES);
    put_varint(out, length);
}

static void put_bytes(struct buffer *out, int field, struct slice content) {
    put_head(out, field, content.length);
    put_raw(out, content);
}

static void put_true(struct buffer *out, int field) {
    put_varint(out, field << 3 | VARINT);
    put_varint(out, 1);
}

// ---- the function ----

// IncompleteInvocationContext with the one spec: `seen`, an int that never expires.
static void put_handshake(struct buffer *out) {
    size_t spec = field_size(4) + field_size(0) + field_size(INT_TYPE.length);
    stats.handshakes++;
    reserve(out, 64 + spec);
    put_head(out, 101, field_size(spec));
    put_head(out, 1, spec);
    put_bytes(out, 1, TEXT("seen"));
    put_head(out, 2, 0);
    put_bytes(out, 3, INT_TYPE);
}

static int32_t int_of(struct slice typed_value) {
    struct slice wrapper = field_of(typed_value, 3), number = field_of(wrapper, 1);
    int32_t value = 0;
    if (number.length == 4) memcpy(&value, number.at, 4);
    return value;
}

static void put_mutation(struct buffer *out, int32_t seen) {
    uint8_t wrapper[5] = {1 << 3 | FIXED32};
    struct slice value = {wrapper, seen ? 5 : 0};
    size_t typed = field_size(INT_TYPE.length) + 2 + field_size(value.length);
    memcpy(wrapper + 1, &seen, 4);
    put_head(out, 1, 2 + field_size(4) + field_size(typed));
    put_true(out, 1);
    put_bytes(out, 2, TEXT("seen"));
    put_head(out, 3, typed);
    put_bytes(out, 1, INT_TYPE);
    put_true(out, 2);
    put_bytes(out, 3, value);
}

static void put_egress(struct buffer *out, struct slice id, int32_t seen, struct slice argument) {
    char text[16];
    int digits = snprintf(text, sizeof text, "%d;", seen);
    size_t value = digits + argument.length;
    size_t record = field_size(id.length) + field_size(value) + field_size(topic.length);
    size_t typed = field_size(RECORD_TYPE.length) + 2 + field_size(record);
    put_head(out, 4, field_size(7) + field_size(3) + field_size(typed));
    put_bytes(out, 1, TEXT("demo.io"));
    put_bytes(out, 2, TEXT("out"));
    put_head(out, 3, typed);
    put_bytes(out, 1, RECORD_TYPE);
    put_true(out, 2);
    put_head(out, 3, record);
    put_bytes(out, 1, id);
    put_head(out, 2, value);
    put_raw(out, (struct slice){(uint8_t *)text, digits});
    put_raw(out, argument);
    put_bytes(out, 3, topic);
}

// Appends the reply to a ToFunction; returns 0 when the request is none.
static int invoke(struct slice request, struct buffer *out) {
    static struct buffer result;
    struct slice batch = field_of(request, 100), rest = batch, content, id = {0, 0};
    unsigned long invocations = 0;
    int has_state = 0, field;
    int32_t seen = 0;
    while ((field = next_field(&rest, &content)) > 0) {
        if (field == 1) id = field_of(content, 3);
        if (field == 2) has_state = 1, seen = int_of(field_of(content, 2));
        if (field == 3) invocations++;
    }
    if (field < 0 || !batch.at) return 0;
    stats.requests++;
    if (!has_state) return put_handshake(out), 1;
    stats.invocations += invocations;
    if (invocations > stats.batch_max) stats.batch_max = invocations;
    result.length = 0;
    reserve(&result, batch.length + invocations * (200 + id.length + topic.length) + 200);
    put_mutation(&result, seen + invocations);
    for (rest = batch; (field = next_field(&rest, &content)) > 0;)
        if (field == 3) put_egress(&result, id, ++seen, field_of(field_of(content, 2), 3));
    reserve(out, result.length + 16);
    put_bytes(out, 100, (struct slice){result.data, result.length});
    return 1;
}

// ---- HTTP/1.1: keep-alive, bodies with a length ----

static void put_reply(struct buffer *out, const char *status, struct slice body) {
    reserve(out, body.length + 256);
    out->length += sprintf((char *)out->data + out->length,
                           "HTTP/1.1 %s\r\ncontent-type: application/octet-stream\r\n"
                           "content-length: %zu\r\n\r\n", status, body.length);
    put_raw(out, body);
}

static void put_stats(struct buffer *out) {
    char text[200];
    int length = snprintf(text, sizeof text,
                          "{\"requests\": %lu, \"invocations\": %lu, \"handshakes\": %lu, \"batch_max\": %lu}\n",
                          stats.requests, stats.invocations, stats.handshakes, stats.batch_max);
    memset(&stats, 0, sizeof stats);
    put_reply(out, "200 OK", (struct slice){(uint8_t *)text, length});
}

static void answer(struct slice head, struct slice body, struct buffer *out) {
    static struct buffer reply;
    reply.length = 0;
    if (head.length > 11 && !memcmp(head.at, "GET /stats ", 11)) put_stats(out);
    else if (invoke(body, &reply)) put_reply(out, "200 OK", (struct slice){reply.data, reply.length});
    else put_reply(out, "400 Bad Request", TEXT("no ToFunction"));
}

// Returns the length of the body, or -1 for a request that this server cannot read.
static long body_length(char *head, size_t length) {
    char last = head[length - 1];
    head[length - 1] = 0;
    char *field = strcasestr(head, "\r\ncontent-length:");
    int is_chunked = strcasestr(head, "\r\ntransfer-encoding:") != NULL;
    head[length - 1] = last;
    return is_chunked ? -1 : field ? atol(field + 17) : 0;
}

// Answers every whole request that has arrived; returns 0 when the connection is to be closed.
static int serve(struct connection *peer) {
    size_t done = 0;
    for (;;) {
        char *head = (char *)peer->in.data + done;
        size_t left = peer->in.length - done;
        char *end = left ? memmem(head, left, "\r\n\r\n", 4) : NULL;
        if (!end) break;
        size_t head_length = end + 4 - head;
        long length = body_length(head, head_length);
        if (length < 0) return 0;
        if (left < head_length + length) break;
        answer((struct slice){(uint8_t *)head, head_length},
               (struct slice){(uint8_t *)head + head_length, length}, &peer->out);
        done += head_length + length;
    }
    if (done) drop_front(&peer->in, done);
    return 1;
}

// ---- connections ----

static int epoll;

static void watch(struct connection *peer, int operation, uint32_t events) {
    struct epoll_event event = {.events = events, .data.ptr = peer};
    epoll_ctl(epoll, operation, peer->fd, &event);
}

static void close_connection(struct connection *peer) {
    close(peer->fd);
    free(peer->in.data);
    free(peer->out.data);
    free(peer);
}

static int flush(struct connection *peer) {
    while (peer->sent < peer->out.length) {
        ssize_t count = send(peer->fd, peer->out.data + peer->sent, peer->out.length - peer->sent, MSG_NOSIGNAL);
        if (count < 0 && errno == EINTR) continue;
        if (count < 0 && errno != EAGAIN) return 0;
        if (count < 0) break;
        peer->sent += count;
    }
    int waits = peer->sent < peer->out.length;
    if (!waits) peer->sent = peer->out.length = 0;
    if (waits != peer->waits_for_write) watch(peer, EPOLL_CTL_MOD, waits ? EPOLLIN | EPOLLOUT : EPOLLIN);
    peer->waits_for_write = waits;
    return 1;
}

static int receive(struct connection *peer) {
    reserve(&peer->in, 16384);
    ssize_t count = recv(peer->fd, peer->in.data + peer->in.length, peer->in.capacity - peer->in.length, 0);
    if (count < 0) return errno == EAGAIN || errno == EINTR;
    peer->in.length += count;
    return count && serve(peer);
}

static void accept_one(int listener) {
    int fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK), on = 1;
    if (fd < 0) return;
    struct connection *peer = calloc(1, sizeof *peer);
    if (!peer) abort();
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    peer->fd = fd;
    watch(peer, EPOLL_CTL_ADD, EPOLLIN);
}

static int listen_on(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port), .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    int listener = socket(AF_INET, SOCK_STREAM, 0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 4096)) {
        perror("fnserver");
        exit(1);
    }
    return listener;
}

int main(int count, char **arguments) {
    if (count != 3) return fprintf(stderr, "usage: fnserver PORT TOPIC\n"), 2;
    topic = (struct slice){(uint8_t *)arguments[2], strlen(arguments[2])};
    int listener = listen_on(atoi(arguments[1]));
    epoll = epoll_create1(0);
    // The listener is the event without a connection.
    struct epoll_event accepts = {.events = EPOLLIN, .data.ptr = NULL}, events[256];
    epoll_ctl(epoll, EPOLL_CTL_ADD, listener, &accepts);
    for (;;) {
        int ready = epoll_wait(epoll, events, 256, -1);
        for (int i = 0; i < ready; i++) {
            struct connection *peer = events[i].data.ptr;
            if (!peer) accept_one(listener);
            else if (!(events[i].events & ~EPOLLOUT ? receive(peer) : 1) || !flush(peer)) close_connection(peer);
        }
    }
}
