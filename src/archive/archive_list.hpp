/// Which archives a deck means.
#pragma once

#include <string>
#include <vector>

namespace tramontane {

/// The files that the entries name, in their order; a pattern (* ? [ ]) stands for the files it matches, in the order
/// of their names. A file that comes again, under whatever name, is left out and put into `repeated`. Throws InputError
/// when an entry names no file.
std::vector<std::string> expand_archives(const std::vector<std::string>& entries,
                                         std::vector<std::string>* repeated = nullptr);

}  // namespace tramontane
