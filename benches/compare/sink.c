/* The upstream of uploads: reads each body to its end, and answers 200 then. (nginx would answer before it has read it.) It
 * takes what proxies send: HTTP/1.1, kept connections, Content-Length.
 *
 *     sink PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, EVENTS = 256, HEAD = 16384, BUFFER = 262144 };
static const char ANSWER[] = "HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nContent-Length: 3\r\n\r\nok\n";

/* What of a request is still to come: its head, or so many bytes of its body. */
struct request {
    char head[HEAD];
    size_t have;
    long long left;
};

static struct request *requests[MOST];
static char buffer[BUFFER];

static void fail(const char *what) {
    perror(what);
    exit(1);
}

static void watch(int epoll, int fd) {
    struct epoll_event event = {.events = EPOLLIN, .data.fd = fd};
    int on = 1;
    setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
    if (fd >= MOST || epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event)) fail("watch");
}

/* Whether the connection goes on. */
static int answer(int fd, struct request *request) {
    request->have = 0;
    return send(fd, ANSWER, sizeof ANSWER - 1, MSG_NOSIGNAL) == sizeof ANSWER - 1;
}

static int read_head(int fd, struct request *request, const char *bytes, size_t count) {
    if (request->have + count >= HEAD) {
        /* The rest of a body that came with the head: no more of it than fits is kept. */
        size_t room = HEAD - 1 - request->have;
        memcpy(request->head + request->have, bytes, room);
        request->head[HEAD - 1] = 0;
    } else {
        memcpy(request->head + request->have, bytes, count);
        request->head[request->have + count] = 0;
    }
    request->have += count;
    char *end = strstr(request->head, "\r\n\r\n");
    if (!end) return request->have < HEAD;
    *end = 0;
    char *length = strcasestr(request->head, "\r\ncontent-length:");
    request->left = (length ? atoll(length + 17) : 0) - (long long)(request->have - (end + 4 - request->head));
    return request->left > 0 || answer(fd, request);
}

/* Whether the connection goes on. */
static int take(int fd) {
    struct request *request = requests[fd];
    ssize_t got = recv(fd, buffer, BUFFER, MSG_DONTWAIT);
    if (got < 0 && errno == EAGAIN) return 1;
    if (got <= 0) return 0;
    if (request->left <= 0) return read_head(fd, request, buffer, got);
    request->left -= got;
    return request->left > 0 || answer(fd, request);
}

int main(int count, char **words) {
    if (count != 2) return 2;
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(atoi(words[1]))};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    int listener = socket(AF_INET, SOCK_STREAM, 0), epoll = epoll_create1(0), on = 1;
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16384)) fail("listen");
    watch(epoll, listener);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                int client = accept(listener, 0, 0);
                if (client < 0) continue;
                watch(epoll, client);
                requests[client] = calloc(1, sizeof(struct request));
                if (!requests[client]) fail("memory");
            } else if (!take(fd)) {
                free(requests[fd]);
                requests[fd] = 0;
                close(fd);
            }
        }
    }
}
