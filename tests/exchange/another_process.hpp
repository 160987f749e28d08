/// Tests of what processes do to each other.
#pragma once

#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <exception>

namespace tramontane::testing {

/// Runs `body` in a process of its own and returns that process.
template <class Body>
pid_t in_another_process(const Body& body) {
  const pid_t child = fork();
  if (child != 0) return child;
  int code = 1;
  try {
    code = body();
  } catch (const std::exception& error) {
    std::fprintf(stderr, "%s\n", error.what());
  }
  _exit(code);
}

}  // namespace tramontane::testing
