/// Lengths of time as decks write them: 90s, 30min, 1h, 2d; a bare number counts seconds.
#pragma once

#include <optional>
#include <string>
#include <string_view>

namespace tramontane {

/// Seconds; nothing when the text is no length of time. Negative and non-finite lengths are refused.
std::optional<double> parse_duration(std::string_view text);

/// The shortest exact way to write a length of time: in days, hours or minutes where it is a whole number of them.
std::string duration_text(double seconds);

}  // namespace tramontane
