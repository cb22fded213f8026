# What the data plane asks of Linux: epoll, sockets, pipes, eventfd, threads, atomics.
from libc.stdint cimport int32_t, int64_t, uint16_t, uint32_t, uint64_t

cdef extern from * nogil:
    """
    #ifndef _GNU_SOURCE
    #define _GNU_SOURCE 1
    #endif
    #include <arpa/inet.h>
    #include <errno.h>
    #include <fcntl.h>
    #include <netinet/in.h>
    #include <netinet/tcp.h>
    #include <poll.h>
    #include <pthread.h>
    #include <signal.h>
    #include <string.h>
    #include <sys/epoll.h>
    #include <sys/eventfd.h>
    #include <sys/socket.h>
    #include <time.h>
    #include <unistd.h>

    static inline int mcp_errno(void) { return errno; }

    static inline int64_t mcp_now_ms(void) {
        struct timespec t;
        clock_gettime(CLOCK_MONOTONIC, &t);
        return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
    }

    /* The address and port of a socket name, IPv4 mapped into 16 bytes (::ffff:a.b.c.d). */
    static inline void mcp_unpack(const struct sockaddr_storage *name, uint8_t *address,
                                  uint16_t *port) {
        if (name->ss_family == AF_INET) {
            const struct sockaddr_in *v4 = (const struct sockaddr_in *)name;
            memset(address, 0, 10);
            address[10] = address[11] = 0xFF;
            memcpy(address + 12, &v4->sin_addr, 4);
            *port = ntohs(v4->sin_port);
        } else if (name->ss_family == AF_INET6) {
            const struct sockaddr_in6 *v6 = (const struct sockaddr_in6 *)name;
            memcpy(address, &v6->sin6_addr, 16);
            *port = ntohs(v6->sin6_port);
        } else {
            memset(address, 0, 16);
            *port = 0;
        }
    }

    static inline socklen_t mcp_pack(struct sockaddr_storage *name, const uint8_t *address,
                                     uint16_t port) {
        static const uint8_t mapped[12] = {0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xFF, 0xFF};
        memset(name, 0, sizeof *name);
        if (memcmp(address, mapped, 12) == 0) {
            struct sockaddr_in *v4 = (struct sockaddr_in *)name;
            v4->sin_family = AF_INET;
            memcpy(&v4->sin_addr, address + 12, 4);
            v4->sin_port = htons(port);
            return sizeof *v4;
        }
        struct sockaddr_in6 *v6 = (struct sockaddr_in6 *)name;
        v6->sin6_family = AF_INET6;
        memcpy(&v6->sin6_addr, address, 16);
        v6->sin6_port = htons(port);
        return sizeof *v6;
    }

    static inline int mcp_set_option(int fd, int level, int name, int value) {
        return setsockopt(fd, level, name, &value, sizeof value);
    }

    static inline int mcp_epoll_add(int epoll, int fd, uint32_t events, uint64_t data) {
        struct epoll_event e = {.events = events, .data = {.u64 = data}};
        return epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &e);
    }

    /* Needed where other descriptors of the same socket stay open: epoll would go on telling. */
    static inline int mcp_epoll_remove(int epoll, int fd) {
        return epoll_ctl(epoll, EPOLL_CTL_DEL, fd, NULL);
    }

    static inline int mcp_epoll_change(int epoll, int fd, uint32_t events, uint64_t data) {
        struct epoll_event e = {.events = events, .data = {.u64 = data}};
        return epoll_ctl(epoll, EPOLL_CTL_MOD, fd, &e);
    }

    /* Start a thread that no signal reaches. */
    static inline int mcp_start_thread(pthread_t *thread, void *(*run)(void *), void *argument) {
        sigset_t all, before;
        sigfillset(&all);
        pthread_sigmask(SIG_SETMASK, &all, &before);
        int failed = pthread_create(thread, NULL, run, argument);
        pthread_sigmask(SIG_SETMASK, &before, NULL);
        return failed;
    }

    /* Whether the connection is really gone. While another process is being forked, a socket that
       was closed here still tells epoll, in the name of a session that has ended. */
    static inline int mcp_gone(int fd) {
        struct pollfd one = {.fd = fd};
        return poll(&one, 1, 0) > 0 && (one.revents & (POLLERR | POLLHUP));
    }

    #define mcp_load(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define mcp_store(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define mcp_load64(p) __atomic_load_n((p), __ATOMIC_ACQUIRE)
    #define mcp_store64(p, v) __atomic_store_n((p), (v), __ATOMIC_RELEASE)
    #define mcp_add(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define mcp_add64(p, v) __atomic_add_fetch((p), (v), __ATOMIC_ACQ_REL)
    #define mcp_swap(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)
    #define mcp_exchange(p, v) __atomic_exchange_n((p), (v), __ATOMIC_ACQ_REL)

    static inline int mcp_replace64(int64_t *p, int64_t old, int64_t new) {
        return __atomic_compare_exchange_n(p, &old, new, 0, __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
    }

    /* Closing it will send a reset, and leave no TIME_WAIT behind. */
    static inline void mcp_reset_on_close(int fd) {
        struct linger at_once = {1, 0};
        setsockopt(fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
    }

    /* Put a node before the head of a list that other threads push to as well. */
    static inline void mcp_push(void **head, void *node, void **node_next) {
        void *old = __atomic_load_n(head, __ATOMIC_RELAXED);
        do { *node_next = old;
        } while (!__atomic_compare_exchange_n(head, &old, node, 1, __ATOMIC_ACQ_REL,
                                              __ATOMIC_RELAXED));
    }

    /* Counters have one writer; relaxed stores let another thread read them whole. */
    #define mcp_count(p, v) __atomic_store_n((p), *(p) + (v), __ATOMIC_RELAXED)
    #define mcp_read(p) __atomic_load_n((p), __ATOMIC_RELAXED)
    """
    ctypedef unsigned long pthread_t
    ctypedef unsigned int socklen_t
    cdef struct sockaddr:
        pass
    cdef struct sockaddr_storage:
        pass
    ctypedef union epoll_data_t:
        uint64_t u64
    cdef struct epoll_event:
        uint32_t events
        epoll_data_t data

    enum:
        EAGAIN, EINPROGRESS, EINTR, EMFILE, ENFILE, ENOBUFS, ENOMEM, ECONNRESET, EPIPE, ETIMEDOUT
        ECONNABORTED, MSG_PEEK
        SO_KEEPALIVE, TCP_KEEPIDLE, TCP_KEEPINTVL, TCP_KEEPCNT, TCP_USER_TIMEOUT
        EPOLLIN, EPOLLOUT, EPOLLRDHUP, EPOLLERR, EPOLLHUP, EPOLLET, EPOLLEXCLUSIVE, EPOLL_CLOEXEC
        AF_INET, AF_INET6, SOCK_STREAM, SOCK_NONBLOCK, SOCK_CLOEXEC
        SOL_SOCKET, SO_REUSEPORT, SO_REUSEADDR, SO_ERROR, IPPROTO_TCP, TCP_NODELAY, TCP_QUICKACK
        IPPROTO_IPV6, IPV6_V6ONLY
        MSG_NOSIGNAL, MSG_DONTWAIT, MSG_MORE, MSG_TRUNC
        SHUT_RD, SHUT_WR
        O_CLOEXEC, O_NONBLOCK, F_SETPIPE_SZ, F_GETPIPE_SZ
        SPLICE_F_MOVE, SPLICE_F_NONBLOCK
        EFD_CLOEXEC, EFD_NONBLOCK

    int epoll_create1(int flags)
    int epoll_wait(int epoll, epoll_event* events, int most, int timeout_ms)
    int eventfd(unsigned int initial, int flags)
    int socket(int family, int kind, int protocol)
    int bind(int fd, const sockaddr* name, socklen_t length)
    int listen(int fd, int backlog)
    int accept4(int fd, sockaddr* name, socklen_t* length, int flags)
    int connect(int fd, const sockaddr* name, socklen_t length)
    int getsockname(int fd, sockaddr* name, socklen_t* length)
    int getsockopt(int fd, int level, int name, void* value, socklen_t* length)
    ssize_t recv(int fd, void* data, size_t size, int flags)
    ssize_t send(int fd, const void* data, size_t size, int flags)
    int shutdown(int fd, int how)
    int close(int fd)
    ssize_t read(int fd, void* data, size_t size)
    ssize_t write(int fd, const void* data, size_t size)
    int pipe2(int* ends, int flags)
    int fcntl(int fd, int command, int value)
    ssize_t splice(int source, void* source_offset, int target, void* target_offset, size_t size,
                   unsigned int flags)
    int pthread_join(pthread_t thread, void** result)

    int64_t mcp_load64(int64_t* p)
    void mcp_store64(int64_t* p, int64_t value)
    int mcp_errno()
    int64_t mcp_now_ms()
    void mcp_unpack(const sockaddr_storage* name, unsigned char* address, uint16_t* port)
    socklen_t mcp_pack(sockaddr_storage* name, const unsigned char* address, uint16_t port)
    int mcp_set_option(int fd, int level, int name, int value)
    int mcp_epoll_add(int epoll, int fd, uint32_t events, uint64_t data)
    int mcp_epoll_remove(int epoll, int fd)
    int mcp_epoll_change(int epoll, int fd, uint32_t events, uint64_t data)
    bint mcp_gone(int fd)
    int mcp_start_thread(pthread_t* thread, void* (*run)(void*) noexcept nogil, void* argument)

    int32_t mcp_load(int32_t* p)
    void mcp_store(int32_t* p, int32_t value)
    int32_t mcp_add(int32_t* p, int32_t value)
    int64_t mcp_add64(int64_t* p, int64_t value)
    int32_t mcp_swap(int32_t* p, int32_t value)
    bint mcp_replace64(int64_t* p, int64_t old, int64_t new)
    void mcp_reset_on_close(int fd)
    void* mcp_exchange(void** p, void* value)
    void mcp_push(void** head, void* node, void** node_next)
    void mcp_count(uint64_t* p, uint64_t value)
    uint64_t mcp_read(uint64_t* p)
