/// The oneDNN back end. Only its implementation sees oneDNN's headers.
#pragma once

#include <memory>

#include "ml/backend.hpp"

namespace tramontane {

std::shared_ptr<Backend<float>> make_onednn_backend();

}  // namespace tramontane
