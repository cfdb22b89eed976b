/* The device model's main thread: console, control channel, timers, and what the guest asks of its machine.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/eventfd.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/timerfd.h>
#include <time.h>
#include <unistd.h>

#include "console.h"
#include "dm.h"

enum { CLIENTS = 4, COMMAND_BYTES = 80 };

/* One peer of the control channel: stdin, or a connection. */
struct peer {
    int in, out; /* in < 0: free */
    char line[COMMAND_BYTES];
    size_t length;
};

struct loop {
    struct vm *vm;
    struct console console;
    int signals, timer, control; /* control: listening socket, or -1 */
    struct peer peers[CLIENTS];
    bool quit;
    int status; /* exit status */
};

void complain(const char *format, ...)
{
    char text[400];
    va_list args;
    va_start(args, format);
    vsnprintf(text, sizeof(text), format, args);
    va_end(args);
    fflush(stdout);
    fprintf(stderr, "dm: %s\n", text);
}

static void drop(struct peer *peer)
{
    if (peer->in != STDIN_FILENO)
        close(peer->in);
    peer->in = peer->out = -1;
    peer->length = 0;
}

static void add_peer(struct loop *loop, int in, int out)
{
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (loop->peers[i].in < 0) {
            loop->peers[i] = (struct peer){.in = in, .out = out};
            return;
        }
    }
    close(in);
}

static void obey(struct loop *loop, struct peer *peer)
{
    char answer[256];
    peer->line[peer->length] = '\0';
    peer->length = 0;
    if (peer->line[0] == '\0')
        return;
    if (control_command(loop->vm, peer->line, answer, sizeof(answer)) == CONTROL_QUIT)
        loop->quit = true;
    if (peer->out == STDOUT_FILENO) {
        fputs(answer, stdout);
        fflush(stdout);
    } else {
        send(peer->out, answer, strlen(answer), MSG_NOSIGNAL);
    }
}

static void hear(struct loop *loop, struct peer *peer)
{
    char buffer[COMMAND_BYTES];
    ssize_t count = read(peer->in, buffer, sizeof(buffer));
    if (count < 0 && errno == EINTR)
        return;
    if (count <= 0) {
        drop(peer);
        return;
    }
    for (ssize_t i = 0; i < count; i++) {
        if (buffer[i] == '\n')
            obey(loop, peer);
        else if (buffer[i] != '\r' && peer->length < sizeof(peer->line) - 1)
            peer->line[peer->length++] = buffer[i];
    }
}

/* Console bytes from the guest to whoever is there. */
static void move_output(struct loop *loop)
{
    uint8_t buffer[512];
    size_t count;
    while (console_ready(&loop->console)) {
        pthread_mutex_lock(&loop->vm->lock);
        count = ring_take_some(&loop->vm->output, buffer, sizeof(buffer));
        if (count != 0 && loop->vm->state == VM_RUNNING)
            uart_output_taken(&loop->vm->uart);
        pthread_mutex_unlock(&loop->vm->lock);
        if (count == 0)
            break;
        console_put(&loop->console, buffer, count);
    }
}

static void take_input(struct loop *loop, const struct pollfd *fds, unsigned count)
{
    uint8_t buffer[256];
    size_t got = console_handle(&loop->console, fds, count, buffer, sizeof(buffer));
    pthread_mutex_lock(&loop->vm->lock);
    for (size_t i = 0; i < got; i++)
        ring_put(&loop->vm->input, buffer[i]);
    pthread_mutex_unlock(&loop->vm->lock);
    vm_feed_input(loop->vm);
}

/* What the guest asked for. */
static void fulfil(struct loop *loop)
{
    struct vm *vm = loop->vm;
    pthread_mutex_lock(&vm->lock);
    enum vm_wish wish = vm->state == VM_RUNNING ? vm->wish : WISH_NONE;
    pthread_mutex_unlock(&vm->lock);
    if (wish == WISH_NONE)
        return;
    move_output(loop);
    if (wish == WISH_RESET) {
        complain("%s resets itself", vm->options.name);
        if (vm_reset(vm) == 0)
            return;
        loop->status = 1;
    } else {
        complain("%s is off", vm->options.name);
    }
    loop->quit = true;
}

static void set_timer(struct loop *loop)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    pthread_mutex_lock(&loop->vm->lock);
    uint64_t next = 0;
    if (loop->vm->state == VM_RUNNING)
        next = rtc_next(&loop->vm->rtc, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
    pthread_mutex_unlock(&loop->vm->lock);
    struct itimerspec when = {.it_value = {(time_t)(next / 1000000000u), (long)(next % 1000000000u)}};
    timerfd_settime(loop->timer, TFD_TIMER_ABSTIME, &when, NULL);
}

static void run_timer(struct loop *loop)
{
    struct timespec t;
    clock_gettime(CLOCK_REALTIME, &t);
    pthread_mutex_lock(&loop->vm->lock);
    if (loop->vm->state == VM_RUNNING)
        rtc_tick(&loop->vm->rtc, (uint64_t)t.tv_sec * 1000000000u + (uint64_t)t.tv_nsec);
    pthread_mutex_unlock(&loop->vm->lock);
}

static void drain(int fd)
{
    uint64_t count;
    if (read(fd, &count, sizeof(count)) < 0 && errno != EAGAIN)
        complain("read: %s", strerror(errno));
}

/* One turn: waits for something and sees to all that is there. */
static void turn(struct loop *loop)
{
    struct pollfd fds[4 + CLIENTS + 2];
    struct peer *peers[CLIENTS];
    unsigned count = 0, peer_count = 0, first_peer, first_console;

    pthread_mutex_lock(&loop->vm->lock);
    bool want_input = ring_room(&loop->vm->input) >= 256;
    pthread_mutex_unlock(&loop->vm->lock);
    fds[count++] = (struct pollfd){.fd = loop->vm->wake, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = loop->signals, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = loop->timer, .events = POLLIN};
    fds[count++] = (struct pollfd){.fd = loop->control, .events = POLLIN}; /* poll() passes over -1 */
    first_peer = count;
    for (unsigned i = 0; i < CLIENTS; i++) {
        if (loop->peers[i].in >= 0) {
            peers[peer_count++] = &loop->peers[i];
            fds[count++] = (struct pollfd){.fd = loop->peers[i].in, .events = POLLIN};
        }
    }
    first_console = count;
    count += console_poll(&loop->console, fds + count, want_input);
    if (poll(fds, count, -1) < 0)
        return;
    if (fds[0].revents != 0)
        drain(loop->vm->wake);
    if (fds[1].revents != 0)
        loop->quit = true;
    if (fds[2].revents != 0) {
        drain(loop->timer);
        run_timer(loop);
    }
    if ((fds[3].revents & POLLIN) != 0) {
        int fd = accept4(loop->control, NULL, NULL, SOCK_CLOEXEC);
        if (fd >= 0)
            add_peer(loop, fd, fd);
    }
    for (unsigned i = 0; i < peer_count; i++)
        if (fds[first_peer + i].revents != 0)
            hear(loop, peers[i]);
    take_input(loop, fds + first_console, count - first_console);
    move_output(loop);
    fulfil(loop);
    set_timer(loop);
}

static int open_loop(struct loop *loop, struct vm *vm)
{
    sigset_t wanted;
    memset(loop, 0, sizeof(*loop));
    loop->vm = vm;
    loop->control = -1;
    for (unsigned i = 0; i < CLIENTS; i++)
        loop->peers[i].in = loop->peers[i].out = -1;
    sigemptyset(&wanted);
    sigaddset(&wanted, SIGINT);
    sigaddset(&wanted, SIGTERM);
    sigaddset(&wanted, SIGHUP);
    sigprocmask(SIG_BLOCK, &wanted, NULL);
    signal(SIGPIPE, SIG_IGN);
    loop->signals = signalfd(-1, &wanted, SFD_CLOEXEC | SFD_NONBLOCK);
    loop->timer = timerfd_create(CLOCK_REALTIME, TFD_CLOEXEC | TFD_NONBLOCK);
    vm->wake = eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK);
    if (loop->signals < 0 || loop->timer < 0 || vm->wake < 0) {
        complain("signalfd, timerfd or eventfd: %s", strerror(errno));
        return -1;
    }
    if (vm->options.control != NULL) {
        loop->control = listen_on(vm->options.control);
        if (loop->control < 0)
            return -1;
    } else if (vm->options.console != CONSOLE_STDIO) {
        add_peer(loop, STDIN_FILENO, STDOUT_FILENO);
    }
    return console_open(&loop->console, &vm->options);
}

static void close_loop(struct loop *loop)
{
    move_output(loop);
    console_close(&loop->console);
    for (unsigned i = 0; i < CLIENTS; i++)
        if (loop->peers[i].in >= 0)
            drop(&loop->peers[i]);
    if (loop->control >= 0) {
        close(loop->control);
        unlink(loop->vm->options.control);
    }
}

static int run(const struct options *options)
{
    static struct vm vm = {.hsm = -1, .lock = PTHREAD_MUTEX_INITIALIZER};
    static struct loop loop;
    vm.options = *options;
    if (open_loop(&loop, &vm) != 0)
        return 1;
    if (vm_create(&vm) != 0) {
        loop.quit = true;
        loop.status = 1;
    }
    while (!loop.quit)
        turn(&loop);
    if (vm_destroy(&vm) != 0)
        loop.status = 1;
    close_loop(&loop);
    return loop.status;
}

int main(int argc, char **argv)
{
    struct options options;
    char error[200];
    if (options_parse(&options, argc, argv, error, sizeof(error)) != 0) {
        fprintf(stderr, "dm: %s\n", error);
        return 2;
    }
    switch (options.mode) {
    case MODE_HELP:
        fputs(options_help, stdout);
        return 0;
    case MODE_ATTACH:
        return client_attach(options.target);
    case MODE_SEND:
        return client_send(options.target, options.command);
    default:
        return run(&options);
    }
}
