/// Takes up output files that a run left when it was stopped or killed.
#pragma once

#include <hdf5.h>

#include <string>
#include <vector>

namespace tramontane {

/// Cuts the unlimited dimension "time" of a file and of its variables, each of shape (time, inner...), to the first
/// `records` records, the last of which must be of `last_time` (s). Checks first, without changing anything, that the
/// file opens and that those records are there and can be read. Returns why the file can not be continued, or "". Call
/// on one rank.
std::string cut_to_records(const std::string& path, const std::vector<std::string>& variables,
                           const std::vector<hsize_t>& inner, hsize_t records, double last_time);

/// Renames a file to <path>.broken, in the place of an earlier one. Throws RunError when that fails.
void set_aside(const std::string& path);

/// Cuts a file of JSON lines to those before the first whose `field` is past `last`; a last line that was cut
/// off in the middle goes too. A file that is not there is left so. Throws RunError when the file cannot be written.
void cut_metrics(const std::string& path, double last, const std::string& field = "time_seconds");

}  // namespace tramontane
