/// Faults on order, for the tests: the environment variable TRAMONTANE_FAULT names ranks, places and what is to happen.
#pragma once

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

namespace tramontane {

enum class Fault { none, hang, spin, stop, kill, exit, delay, nan, inf, corrupt, fail };

/// rank=<job rank or *>,at=<place>[:<number>[+]],do=<action>[:<argument>], several separated by ';'. Example:
/// "rank=1,at=step:40,do=stop; rank=*,at=frame:3+,do=delay:0.2".
/// A number means that one alone, with + every one from it on, none means every time. Actions:
///   hang     sleep for ever                 kill          SIGKILL
///   spin     compute for ever               exit[:code]   end the process without a word (code 0)
///   stop     SIGSTOP                        delay:seconds
///   nan, inf, corrupt, fail[:argument]      nothing here: the place itself does it, see fault_at
/// Places are the names that code gives to sign_of_life and fault_at (docs/design/watchdog.md lists them).
struct FaultOrder {
  int rank = -1;  ///< -1: every rank
  std::string place;
  std::int64_t number = -1;  ///< -1: every time
  bool and_later = false;
  Fault fault = Fault::none;
  double argument = 0;
  bool has_struck = false;  ///< has happened

  const char* action() const;  ///< as it is written
  bool meets(int this_rank, std::string_view this_place, std::int64_t this_number) const;
};

/// Throws InputError for an order that can not be read.
std::vector<FaultOrder> read_fault_orders(std::string_view text);

/// Reads TRAMONTANE_FAULT; orders hold for `rank` of the job. Without a call, and without the variable, no fault
/// happens and fault_at costs a comparison. Throws InputError.
void arm_faults(int rank);

/// Does what is ordered for this place, or returns what the caller is to do: Fault::nan or inf (put a NaN or an infinity
/// into the data at hand), corrupt (flip a bit of it), fail (act as if the operation had failed); else none. The first
/// time that an order strikes it says so on the standard error.
Fault fault_at(std::string_view place, std::int64_t number);

/// The same for a place without a number of its own: how often this process has passed it, from 1.
Fault fault_at(std::string_view place);

/// What Fault::nan and Fault::inf put into data; none for other faults.
std::optional<float> wild_value(Fault fault);

}  // namespace tramontane
