/* Inputs of the fuzzer, and how they are changed. */
#ifndef FUZZ_MUTATE_H
#define FUZZ_MUTATE_H

#include <stddef.h>
#include <stdint.h>

struct halves {
    const char *board, *scenario;
    size_t board_len, scenario_len;
};

/* Splits an input at its line "%%"; without one it is all board. Points into data. */
struct halves halves_of(const char *data, size_t size);

/* libFuzzer's hook: changes attribute values and elements as often as bytes. Returns the new size, at most
 * max. */
size_t LLVMFuzzerCustomMutator(uint8_t *data, size_t size, size_t max, unsigned seed);

#endif
