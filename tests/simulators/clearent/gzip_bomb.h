/* A small gzip stream that unpacks to 16 MiB of zeros.
 * It is made by hand so that the simulator needs no compression library. */
#ifndef CLEARENT_SIM_GZIP_BOMB_H
#define CLEARENT_SIM_GZIP_BOMB_H

#include "text.h"

void gzip_bomb_write(struct text *out);

#endif
