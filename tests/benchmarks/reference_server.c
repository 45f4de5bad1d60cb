/* An OpenAI-style streaming server with exact timing, for measuring clients: it writes its own send time
 * (CLOCK_MONOTONIC, nanoseconds) into every token's chunk as "t".
 *
 * usage: reference_server TTFT_US ITL_US TOKENS [AT_ONCE]: so many tokens in one write, 1 unless given.
 * Prints its port, serves until standard input closes. Single-threaded; answers GET with a model list, a POST with
 * "stream":true by a stream, any other POST by one JSON body. */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#define MAX_FD 16384
#define REQUEST_BYTES 65536

typedef struct { char *in; size_t used; long left; long sent; long long due; } Stream;
typedef struct { long long due; int fd; } Entry;

static Stream streams[MAX_FD];
static Entry heap[MAX_FD];
static int heap_size;
static long ttft_ns, itl_ns, tokens, at_once = 1;
static int epoll_fd, timer_fd;

static long long now_ns(void) {
    struct timespec t;
    clock_gettime(CLOCK_MONOTONIC, &t);
    return t.tv_sec * 1000000000LL + t.tv_nsec;
}

static void swap(int a, int b) { Entry e = heap[a]; heap[a] = heap[b]; heap[b] = e; }

static void push(long long due, int fd) {
    int i = heap_size++;
    heap[i] = (Entry){due, fd};
    for (; i && heap[(i - 1) / 2].due > heap[i].due; i = (i - 1) / 2) swap(i, (i - 1) / 2);
}

static Entry pop(void) {
    Entry top = heap[0];
    heap[0] = heap[--heap_size];
    for (int i = 0;;) {
        int least = i, left = 2 * i + 1;
        if (left < heap_size && heap[left].due < heap[least].due) least = left;
        if (left + 1 < heap_size && heap[left + 1].due < heap[least].due) least = left + 1;
        if (least == i) return top;
        swap(i, least);
        i = least;
    }
}

static void send_all(int fd, const char *data, size_t size) {
    while (size) {
        ssize_t n = write(fd, data, size);
        if (n < 0 && errno == EAGAIN) continue; /* the reader keeps up, or the measurement is void anyway */
        if (n <= 0) return;
        data += n;
        size -= n;
    }
}

static int put_chunk(char *out, const char *data, int size) { return sprintf(out, "%x\r\n%.*s\r\n", size, size, data); }

static void send_tokens(int fd, Stream *s) {
    char data[512], out[65536];
    int used = 0, last = 0, size;
    if (s->sent == 0) {
        size = sprintf(data, "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"ref\",\"choices\":"
                             "[{\"index\":0,\"delta\":{\"role\":\"assistant\",\"content\":\"\"},\"logprobs\":null,\"finish_reason\":null}]}\n\n");
        used += put_chunk(out + used, data, size);
    }
    for (long i = 0; i < at_once && !last; i++) {
        last = s->left == 1;
        size = sprintf(data, "data: {\"id\":\"chatcmpl-0\",\"object\":\"chat.completion.chunk\",\"created\":1,\"model\":\"ref\",\"choices\":"
                             "[{\"index\":0,\"delta\":{\"content\":\" word\"},\"logprobs\":null,\"finish_reason\":%s,\"token_ids\":[7]}],\"t\":%lld}\n\n",
                       last ? "\"length\"" : "null", now_ns());
        used += put_chunk(out + used, data, size);
        s->sent++;
        s->left--;
    }
    send_all(fd, out, used);
    if (last) {
        size = sprintf(data, "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":%ld}}\n\n", s->sent);
        used = put_chunk(out, data, size);
        used += sprintf(out + used, "e\r\ndata: [DONE]\n\n\r\n0\r\n\r\n");
        send_all(fd, out, used);
    } else {
        s->due += itl_ns;
        push(s->due, fd);
    }
}

static void send_whole(int fd, const char *body) {
    char out[1024];
    send_all(fd, out, sprintf(out, "HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %zu\r\n\r\n%s", strlen(body), body));
}

static void answer(int fd, Stream *s, int is_get, const char *body) {
    if (is_get) { send_whole(fd, "{\"object\":\"list\",\"data\":[{\"id\":\"ref\",\"max_model_len\":100000}]}"); return; }
    if (!strstr(body, "\"stream\":true") && !strstr(body, "\"stream\": true")) {
        send_whole(fd, "{\"choices\":[{\"message\":{\"content\":\"x\"},\"finish_reason\":\"length\"}],"
                       "\"usage\":{\"prompt_tokens\":9,\"completion_tokens\":1}}");
        return;
    }
    const char *head = "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream; charset=utf-8\r\ntransfer-encoding: chunked\r\n\r\n";
    send_all(fd, head, strlen(head));
    s->left = tokens;
    s->sent = 0;
    s->due = now_ns() + ttft_ns;
    push(s->due, fd);
}

static void on_input(int fd) {
    Stream *s = &streams[fd];
    ssize_t n = read(fd, s->in + s->used, REQUEST_BYTES - 1 - s->used);
    if (n <= 0) {
        if (n < 0 && errno == EAGAIN) return;
        for (int i = 0; i < heap_size; i++) if (heap[i].fd == fd) heap[i].fd = -1;
        close(fd);
        return;
    }
    s->used += n;
    s->in[s->used] = 0;
    char *end = strstr(s->in, "\r\n\r\n");
    if (!end) return;
    char *field = strcasestr(s->in, "content-length:");
    size_t length = field && field < end ? strtoul(field + 15, NULL, 10) : 0;
    if (s->used < (size_t)(end + 4 - s->in) + length) return;
    s->used = 0;
    answer(fd, s, s->in[0] == 'G', end + 4);
}

static void on_accept(int listener) {
    for (int fd; (fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK)) >= 0;) {
        if (fd >= MAX_FD) { close(fd); continue; }
        int one = 1;
        setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!streams[fd].in) streams[fd].in = malloc(REQUEST_BYTES);
        streams[fd].used = 0;
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, fd, &(struct epoll_event){.events = EPOLLIN, .data.fd = fd});
    }
}

static void arm(void) {
    struct itimerspec at = {0};
    if (heap_size) {
        at.it_value.tv_sec = heap[0].due / 1000000000LL;
        at.it_value.tv_nsec = heap[0].due % 1000000000LL;
    }
    timerfd_settime(timer_fd, TFD_TIMER_ABSTIME, &at, NULL);
}

int main(int argc, char **argv) {
    if (argc != 4 && argc != 5) return 2;
    ttft_ns = atol(argv[1]) * 1000;
    itl_ns = atol(argv[2]) * 1000;
    tokens = atol(argv[3]);
    if (argc == 5) at_once = atol(argv[4]);
    if (at_once < 1 || at_once > 100) return 2; /* what one buffer holds */
    struct rlimit limit;
    getrlimit(RLIMIT_NOFILE, &limit);
    limit.rlim_cur = limit.rlim_max < MAX_FD ? limit.rlim_max : MAX_FD;
    setrlimit(RLIMIT_NOFILE, &limit);
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0);
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
    socklen_t size = sizeof address;
    if (bind(listener, (struct sockaddr *)&address, size) || listen(listener, 4096)) return 1;
    getsockname(listener, (struct sockaddr *)&address, &size);
    printf("%d\n", ntohs(address.sin_port));
    fflush(stdout);
    epoll_fd = epoll_create1(0);
    timer_fd = timerfd_create(CLOCK_MONOTONIC, TFD_NONBLOCK);
    int watched[] = {listener, timer_fd, 0};
    for (int i = 0; i < 3; i++)
        epoll_ctl(epoll_fd, EPOLL_CTL_ADD, watched[i], &(struct epoll_event){.events = EPOLLIN, .data.fd = watched[i]});
    for (struct epoll_event events[256];;) {
        arm();
        int count = epoll_wait(epoll_fd, events, 256, -1);
        for (int i = 0; i < count; i++) {
            int fd = events[i].data.fd;
            if (fd == 0) return 0;
            if (fd == listener) on_accept(listener);
            else if (fd == timer_fd) { long long expired; if (read(timer_fd, &expired, 8) < 0) continue; }
            else on_input(fd);
        }
        while (heap_size && heap[0].due <= now_ns()) {
            Entry e = pop();
            if (e.fd >= 0) send_tokens(e.fd, &streams[e.fd]);
        }
    }
}
