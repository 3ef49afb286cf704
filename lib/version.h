/* The version of the whole suite, as --version says it. */
#ifndef LIB_VERSION_H
#define LIB_VERSION_H

#define KOMETPAY_VERSION "0.1.0"

#endif
