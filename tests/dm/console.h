/* The other end of the user VM's serial line: a terminal, a pseudo terminal or a socket, and the relay onto
 * stdout. */
#ifndef DM_CONSOLE_H
#define DM_CONSOLE_H

#include <poll.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <termios.h>

#include "options.h"

#define BACKLOG_BYTES 4096u /* of the last output are shown to a client that attaches */
#define LINE_BYTES    512u

struct console {
    enum console_kind kind;
    const char *prefix; /* relay, or NULL */
    const char *path;   /* of the socket, to be removed at the end */
    int listener;       /* or -1 */
    int in, out;        /* or -1: nobody is there */
    int keeper; /* other side of a pseudo terminal: held open, or the first reader's leaving would be the end;
                   or -1 */
    bool cooked; /* the terminal's settings are to be put back */
    struct termios terminal;
    uint8_t pending[1024]; /* taken from the guest and not yet written */
    size_t pending_start, pending_end;
    uint8_t backlog[BACKLOG_BYTES];
    size_t backlog_total;
    char line[LINE_BYTES]; /* relay: the line so far */
    size_t line_length;
};

/* Returns 0, or -1 after saying what failed. */
int console_open(struct console *console, const struct options *options);
void console_close(struct console *console);
/* Entries for poll(): at most 2. Returns how many were filled. */
unsigned console_poll(const struct console *console, struct pollfd *fds, bool want_input);
/* True when bytes of the guest can be taken now; console_put() takes at most sizeof(pending). */
bool console_ready(const struct console *console);
void console_put(struct console *console, const uint8_t *data, size_t size);
/* Looks at what poll() found; reads at most size bytes of input into buffer and returns how many. */
size_t console_handle(struct console *console, const struct pollfd *fds, unsigned count, uint8_t *buffer,
                      size_t size);

/* Listens on a UNIX socket, taking the place of one that nobody serves. -1 after saying what failed. */
int listen_on(const char *path);

#endif
