/// Plots and report.html at the end of a run.
#pragma once

#include "src/deck/deck.hpp"

namespace tramontane {

/// Runs scripts/plot.py on output.dir, when output.plots asks for it. Call on one rank, after write_summary.
///
/// The script is looked for where TRAMONTANE_SCRIPTS points, then in the source tree the program was built from. A
/// report that cannot be made is a warning in the log and no error: the run's numbers are written already. The script
/// is ended after `patience_seconds`.
/// Returns whether the report was made.
bool make_report(const Deck& deck, double patience_seconds = 300);

}  // namespace tramontane
