/* A queue of bytes of fixed size. */
#ifndef DM_RING_H
#define DM_RING_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define RING_SIZE 16384u /* a power of two */

struct ring {
    uint8_t data[RING_SIZE];
    size_t head; /* bytes ever taken */
    size_t tail; /* bytes ever put */
};

static inline size_t ring_used(const struct ring *ring)
{
    return ring->tail - ring->head;
}

static inline size_t ring_room(const struct ring *ring)
{
    return RING_SIZE - ring_used(ring);
}

/* Puts a byte; false when there is no room. */
static inline bool ring_put(struct ring *ring, uint8_t byte)
{
    if (ring_room(ring) == 0)
        return false;
    ring->data[ring->tail++ % RING_SIZE] = byte;
    return true;
}

/* Takes a byte; false when there is none. */
static inline bool ring_take(struct ring *ring, uint8_t *byte)
{
    if (ring_used(ring) == 0)
        return false;
    *byte = ring->data[ring->head++ % RING_SIZE];
    return true;
}

/* Takes up to size bytes into buffer; how many. */
static inline size_t ring_take_some(struct ring *ring, uint8_t *buffer, size_t size)
{
    size_t count = 0;
    while (count < size && ring_take(ring, &buffer[count]))
        count++;
    return count;
}

static inline void ring_clear(struct ring *ring)
{
    ring->head = ring->tail = 0;
}

#endif
