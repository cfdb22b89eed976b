/* The program as a client of a running device model. */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <termios.h>
#include <unistd.h>

#include "dm.h"

#define DETACH 0x1c /* Ctrl-\ */

static int connect_to(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    if (strlen(path) >= sizeof(address.sun_path)) {
        complain("%s: the name of a socket has at most %zu characters", path, sizeof(address.sun_path) - 1);
        return -1;
    }
    strcpy(address.sun_path, path);
    int fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
    if (fd < 0 || connect(fd, (struct sockaddr *)&address, sizeof(address)) != 0) {
        complain("%s: %s; is that device model running?", path, strerror(errno));
        if (fd >= 0)
            close(fd);
        return -1;
    }
    return fd;
}

/* Copies what is there; false at the end. */
static bool copy(int from, int to, bool watch)
{
    char buffer[1024];
    ssize_t count = read(from, buffer, sizeof(buffer));
    if (count <= 0)
        return count < 0 && errno == EINTR;
    char *stop = watch ? memchr(buffer, DETACH, (size_t)count) : NULL;
    ssize_t length = stop != NULL ? stop - buffer : count;
    for (ssize_t at = 0; at < length;) {
        ssize_t done = write(to, buffer + at, (size_t)(length - at));
        if (done < 0 && errno == EINTR)
            continue;
        if (done <= 0)
            return false;
        at += done;
    }
    return stop == NULL;
}

int client_attach(const char *path)
{
    struct termios saved;
    int fd = connect_to(path);
    if (fd < 0)
        return 1;
    bool terminal = tcgetattr(STDIN_FILENO, &saved) == 0;
    if (terminal) {
        struct termios raw = saved;
        cfmakeraw(&raw);
        tcsetattr(STDIN_FILENO, TCSANOW, &raw);
    }
    dprintf(STDOUT_FILENO, "attached; Ctrl-\\ detaches\r\n");
    struct pollfd fds[2] = {{.fd = fd, .events = POLLIN}, {.fd = STDIN_FILENO, .events = POLLIN}};
    bool going = true;
    while (going && (poll(fds, 2, -1) >= 0 || errno == EINTR)) {
        if (fds[0].revents != 0)
            going = copy(fd, STDOUT_FILENO, false);
        if (going && fds[1].revents != 0)
            going = copy(STDIN_FILENO, fd, true);
    }
    if (terminal)
        tcsetattr(STDIN_FILENO, TCSANOW, &saved);
    dprintf(STDOUT_FILENO, "\r\ndetached\r\n");
    close(fd);
    return 0;
}

int client_send(const char *path, const char *command)
{
    char answer[512];
    size_t length = 0;
    int fd = connect_to(path);
    if (fd < 0)
        return 1;
    dprintf(fd, "%s\n", command);
    shutdown(fd, SHUT_WR);
    while (length < sizeof(answer) - 1) {
        ssize_t count = read(fd, answer + length, sizeof(answer) - 1 - length);
        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            break;
        length += (size_t)count;
    }
    close(fd);
    answer[length] = '\0';
    fputs(answer, stdout);
    return strncmp(answer, "ok", 2) == 0 ? 0 : 1;
}
