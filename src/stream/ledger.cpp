#include "src/stream/ledger.hpp"

#include <fmt/format.h>

#include "kernels/errors.hpp"

namespace tramontane {

std::string to_string(const Ledger& l) {
  return fmt::format("produced {} {} delivered {} + dropped {}{} + in flight {} + rejected {}, {} bytes", l.produced,
                     l.closed() ? "=" : "!=", l.delivered, l.dropped,
                     l.lost > 0 ? fmt::format(" (of them lost {})", l.lost) : std::string(), l.in_flight, l.rejected,
                     l.bytes);
}

void check_closed(const Ledger& producers, const Ledger& learners) {
  const bool agree = producers.delivered == learners.delivered && producers.rejected == learners.rejected &&
                     producers.bytes == learners.bytes && learners.dropped <= producers.dropped;
  if (producers.closed() && producers.in_flight == 0 && agree) return;
  throw RunError("the stream's ledger does not close: solver ranks count " + to_string(producers) +
                 "; learner ranks count delivered " +
                 fmt::format("{}, unread {}, rejected {}, {} bytes", learners.delivered, learners.dropped,
                             learners.rejected, learners.bytes));
}

}  // namespace tramontane
