/// The two ways in which a run ends early, with the exit code that each stands for.
#pragma once

#include <stdexcept>

namespace tramontane {

inline constexpr int kExitDone = 0;
inline constexpr int kExitBadInput = 2;   ///< the deck or an input is wrong
inline constexpr int kExitRunFailed = 3;  ///< a check of the run failed: blow-up, ledger, conservation, deadline
inline constexpr int kExitStopped = 4;    ///< stopped by a signal after a checkpoint

/// The user's input is wrong. The message is one sentence: what is wrong, where, and what to do.
struct InputError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

/// A check of the running program failed.
struct RunError : std::runtime_error {
  using std::runtime_error::runtime_error;
};

}  // namespace tramontane
