/// The program's log (spdlog's default logger) on stderr.
#pragma once

namespace tramontane {

/// Rank 0 logs from info on, the others only warnings and errors, each line with its rank.
void start_logging(int world_rank);

}  // namespace tramontane
