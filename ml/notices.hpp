/// Words to the user about things that are not as they should be and yet no error: a damaged cache that is ignored, a
/// faster way that could not be taken.
#pragma once

#include <functional>
#include <string>

namespace tramontane {

/// Says one sentence, to the standard error stream until a program sets something better. Not for loops.
void notice(const std::string& sentence);

/// Where notices go from now on; an empty function puts them back to the standard error stream.
void set_notices(std::function<void(const std::string&)> sink);

}  // namespace tramontane
