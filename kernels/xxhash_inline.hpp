/// The xxHash library compiled into who includes this, with its constants and steps. Not for headers.
#pragma once

// g++ 12 warns about the undefined operands of its own AVX-512 intrinsics, where the library's code ends up.
#if defined(__GNUC__) && !defined(__clang__)
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#endif
#define XXH_INLINE_ALL
#include <xxhash.h>
