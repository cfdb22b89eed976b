/* Console back ends: console.h. */
#include "console.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "dm.h"

int listen_on(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        complain("%s: the name of a socket has at most %zu characters", path, sizeof(address.sun_path) - 1);
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
    if (fd < 0) {
        complain("socket: %s", strerror(errno));
        return -1;
    }
    if (connect(fd, (struct sockaddr *)&address, sizeof(address)) == 0) {
        complain("%s: somebody listens there already", path);
        close(fd);
        return -1;
    }
    unlink(path);
    if (bind(fd, (struct sockaddr *)&address, sizeof(address)) != 0 || listen(fd, 4) != 0) {
        complain("%s: %s", path, strerror(errno));
        close(fd);
        return -1;
    }
    return fd;
}

static int open_stdio(struct console *console)
{
    console->in = STDIN_FILENO;
    console->out = STDOUT_FILENO;
    if (tcgetattr(STDIN_FILENO, &console->terminal) == 0) {
        struct termios raw = console->terminal;
        cfmakeraw(&raw);
        raw.c_oflag |= OPOST;
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
        console->cooked = true;
    }
    return 0;
}

static int open_pty(struct console *console)
{
    struct termios raw;
    int fd = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC | O_NONBLOCK);
    if (fd < 0 || grantpt(fd) != 0 || unlockpt(fd) != 0 || tcgetattr(fd, &raw) != 0) {
        complain("no pseudo terminal: %s", strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    cfmakeraw(&raw);
    tcsetattr(fd, TCSANOW, &raw);
    console->keeper = open(ptsname(fd), O_RDWR | O_NOCTTY | O_CLOEXEC);
    console->in = console->out = fd;
    printf("dm: the console is %s\n", ptsname(fd));
    fflush(stdout);
    return 0;
}

int console_open(struct console *console, const struct options *options)
{
    memset(console, 0, sizeof(*console));
    console->kind = options->console;
    console->prefix = options->relay;
    console->listener = console->in = console->out = console->keeper = -1;
    switch (console->kind) {
    case CONSOLE_STDIO:
        return open_stdio(console);
    case CONSOLE_PTY:
        return open_pty(console);
    case CONSOLE_SOCKET:
        console->path = options->console_path;
        console->listener = listen_on(console->path);
        return console->listener >= 0 ? 0 : -1;
    default:
        return 0;
    }
}

static void write_all(int fd, const void *data, size_t size)
{
    const char *at = data;
    while (size > 0) {
        ssize_t done = write(fd, at, size);
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return;
        at += done;
        size -= (size_t)done;
    }
}

static void flush_line(struct console *console)
{
    char text[LINE_BYTES + 64];
    if (console->line_length == 0)
        return;
    int length =
        snprintf(text, sizeof(text), "%s%.*s\n", console->prefix, (int)console->line_length, console->line);
    write_all(STDOUT_FILENO, text, (size_t)length < sizeof(text) ? (size_t)length : sizeof(text) - 1);
    console->line_length = 0;
}

/* Lines of the guest with the prefix. While somebody is attached that person sees them and they are not shown
 * twice. */
static void relay(struct console *console, const uint8_t *data, size_t size)
{
    if (console->prefix == NULL || (console->kind == CONSOLE_SOCKET && console->out >= 0))
        return;
    for (size_t i = 0; i < size; i++) {
        if (data[i] == '\n' || console->line_length == sizeof(console->line))
            flush_line(console);
        if (data[i] != '\n' && data[i] != '\r' && data[i] != '\0')
            console->line[console->line_length++] = (char)data[i];
    }
}

static void detach(struct console *console)
{
    close(console->in);
    console->in = console->out = -1;
    console->pending_start = console->pending_end = 0;
}

/* Writes what it can of the pending bytes. */
static void flush_pending(struct console *console)
{
    while (console->pending_start < console->pending_end) {
        const uint8_t *at = console->pending + console->pending_start;
        size_t left = console->pending_end - console->pending_start;
        ssize_t done = console->kind == CONSOLE_SOCKET ? send(console->out, at, left, MSG_NOSIGNAL)
                                                       : write(console->out, at, left);
        if (done > 0) {
            console->pending_start += (size_t)done;
            continue;
        }
        if (done < 0 && errno == EINTR)
            continue;
        if (done < 0 && errno == EAGAIN && console->kind == CONSOLE_SOCKET)
            return; /* the guest waits for a slow client, as for a slow line */
        if (console->kind == CONSOLE_SOCKET)
            detach(console);
        break; /* a pseudo terminal that nobody reads, or a terminal that is gone: lost */
    }
    console->pending_start = console->pending_end = 0;
}

bool console_ready(const struct console *console)
{
    return console->pending_start == console->pending_end;
}

void console_put(struct console *console, const uint8_t *data, size_t size)
{
    relay(console, data, size);
    for (size_t i = 0; i < size; i++)
        console->backlog[console->backlog_total++ % BACKLOG_BYTES] = data[i];
    if (console->out < 0 || size > sizeof(console->pending))
        return;
    memcpy(console->pending, data, size);
    console->pending_start = 0;
    console->pending_end = size;
    flush_pending(console);
}

static void attach(struct console *console)
{
    int fd = accept4(console->listener, NULL, NULL, SOCK_CLOEXEC);
    if (fd < 0)
        return;
    if (console->in >= 0) {
        static const char busy[] = "somebody else is attached\r\n";
        send(fd, busy, sizeof(busy) - 1, MSG_NOSIGNAL);
        close(fd);
        return;
    }
    flush_line(console);
    size_t kept = console->backlog_total < BACKLOG_BYTES ? console->backlog_total : BACKLOG_BYTES;
    uint8_t text[BACKLOG_BYTES];
    for (size_t i = 0; i < kept; i++)
        text[i] = console->backlog[(console->backlog_total - kept + i) % BACKLOG_BYTES];
    send(fd, text, kept, MSG_NOSIGNAL);
    fcntl(fd, F_SETFL, O_NONBLOCK);
    console->in = console->out = fd;
}

unsigned console_poll(const struct console *console, struct pollfd *fds, bool want_input)
{
    unsigned count = 0;
    if (console->listener >= 0)
        fds[count++] = (struct pollfd){.fd = console->listener, .events = POLLIN};
    if (console->in >= 0) {
        short events = want_input ? POLLIN : 0;
        if (!console_ready(console))
            events |= POLLOUT;
        if (events != 0)
            fds[count++] = (struct pollfd){.fd = console->in, .events = events};
    }
    return count;
}

size_t console_handle(struct console *console, const struct pollfd *fds, unsigned count, uint8_t *buffer,
                      size_t size)
{
    size_t got = 0;
    for (unsigned i = 0; i < count; i++) {
        if (fds[i].fd == console->listener && (fds[i].revents & POLLIN) != 0) {
            attach(console);
        } else if (fds[i].fd == console->in && console->in >= 0) {
            if ((fds[i].revents & POLLOUT) != 0)
                flush_pending(console);
            if (console->in >= 0 && (fds[i].revents & (POLLIN | POLLHUP | POLLERR)) != 0 &&
                (fds[i].events & POLLIN) != 0) {
                ssize_t done = read(console->in, buffer, size);
                if (done > 0)
                    got = (size_t)done;
                else if (console->kind == CONSOLE_SOCKET && (done == 0 || errno != EAGAIN))
                    detach(console);
                else if (console->kind == CONSOLE_STDIO && done == 0)
                    console->in = -1; /* end of the input; the output goes on */
            }
        }
    }
    return got;
}

void console_close(struct console *console)
{
    flush_line(console);
    if (console->cooked)
        tcsetattr(STDIN_FILENO, TCSANOW, &console->terminal);
    if (console->in >= 0 && console->kind != CONSOLE_STDIO)
        close(console->in);
    if (console->keeper >= 0)
        close(console->keeper);
    if (console->listener >= 0) {
        close(console->listener);
        unlink(console->path);
    }
}
