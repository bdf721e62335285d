/* The floor of any proxy of this shape: one thread, epoll, and for each client a connection of its own to the upstream, between
 * which bytes are moved as they come. It knows no HTTP, so it checks, logs and shares nothing. For answers of 1 KB, a read and
 * a write cost no more than two splices through a pipe.
 *
 *     floor PORT UPSTREAM_PORT
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

enum { MOST = 65536, EVENTS = 256, BUFFER = 262144 };

static int peer[MOST]; /* the other end of each connection */
static char buffer[BUFFER];

static struct sockaddr_in loopback(int port) {
    struct sockaddr_in address = {.sin_family = AF_INET, .sin_port = htons(port)};
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    return address;
}

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

static void take(int epoll, int listener, int upstream_port) {
    int client = accept4(listener, 0, 0, SOCK_NONBLOCK);
    if (client < 0) return;
    struct sockaddr_in address = loopback(upstream_port);
    int upstream = socket(AF_INET, SOCK_STREAM, 0);
    if (upstream < 0 || connect(upstream, (struct sockaddr *)&address, sizeof address)) fail("upstream");
    watch(epoll, client);
    watch(epoll, upstream);
    peer[client] = upstream;
    peer[upstream] = client;
}

static void end(int fd) {
    int other = peer[fd];
    peer[fd] = peer[other] = 0;
    close(fd);
    close(other);
}

/* Waits for room where there is none: the load reads all that it is sent. */
static int put(int fd, const char *bytes, ssize_t left) {
    while (left > 0) {
        ssize_t wrote = send(fd, bytes, left, MSG_NOSIGNAL | MSG_DONTWAIT);
        if (wrote >= 0) {
            bytes += wrote;
            left -= wrote;
        } else if (errno == EAGAIN) {
            struct pollfd room = {.fd = fd, .events = POLLOUT};
            poll(&room, 1, 1000);
        } else {
            return 0;
        }
    }
    return 1;
}

int main(int count, char **words) {
    if (count != 3) return 2;
    struct sockaddr_in address = loopback(atoi(words[1]));
    int upstream_port = atoi(words[2]), on = 1;
    int listener = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0), epoll = epoll_create1(0);
    setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on);
    if (bind(listener, (struct sockaddr *)&address, sizeof address) || listen(listener, 16384)) fail("listen");
    watch(epoll, listener);
    struct epoll_event events[EVENTS];
    for (;;) {
        int ready = epoll_wait(epoll, events, EVENTS, -1);
        for (int i = 0; i < ready; i++) {
            int fd = events[i].data.fd;
            if (fd == listener) {
                take(epoll, listener, upstream_port);
            } else if (peer[fd]) { /* not ended by an event before this one */
                ssize_t got = recv(fd, buffer, BUFFER, MSG_DONTWAIT);
                if (got < 0 && errno == EAGAIN) continue;
                if (got <= 0 || !put(peer[fd], buffer, got)) end(fd);
            }
        }
    }
}
