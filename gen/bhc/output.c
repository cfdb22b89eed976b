#include "output.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

static const char *write_file(const char *path, const struct buffer *content)
{
    int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0666);
    size_t done = 0;

    if (fd < 0)
        return strerror(errno);
    while (done < content->len) {
        ssize_t put = write(fd, content->data + done, content->len - done);

        if (put < 0 && errno == EINTR)
            continue;
        if (put <= 0) {
            int error = put < 0 ? errno : ENOSPC;

            close(fd);
            return strerror(error);
        }
        done += (size_t)put;
    }
    return close(fd) == 0 ? NULL : strerror(errno);
}

void output_write(const char *dir, const struct output *files, size_t count)
{
    const char **temp = arena_alloc(count, sizeof(*temp));
    const char *problem = NULL, *path = "";

    for (size_t i = 0; i < count && !problem; i++) {
        temp[i] = arena_printf("%s/.%s.%ld.tmp", dir, files[i].name, (long)getpid());
        path = arena_printf("%s/%s", dir, files[i].name);
        problem = write_file(temp[i], files[i].content);
    }
    for (size_t i = 0; i < count && !problem; i++) {
        path = arena_printf("%s/%s", dir, files[i].name);
        if (rename(temp[i], path) != 0)
            problem = strerror(errno);
    }
    if (!problem)
        return;
    for (size_t i = 0; i < count; i++) {
        if (temp[i])
            unlink(temp[i]);
    }
    cannot_run("cannot write %s: %s", path, problem);
}
