/* Mutants: each breaks one rule of the payment's state machine, and `make faults` proves that the
 * kill tests notice (tests/faults/mutants.py). Only with -DKOMETPAY_MUTANTS, one at a time, named
 * by KOMETPAY_MUTANT; in every other build MUTANT() is false and no name is in the program. */
#ifndef LIB_MUTANT_H
#define LIB_MUTANT_H

#include <stdbool.h>

#ifdef KOMETPAY_MUTANTS
#include <stdlib.h>
#include <string.h>

static inline bool mutant_chosen(const char *name)
{
    const char *chosen = getenv("KOMETPAY_MUTANT");
    return chosen && strcmp(chosen, name) == 0;
}
#define MUTANT(name) mutant_chosen(name)
#else
#define MUTANT(name) false
#endif

#endif
