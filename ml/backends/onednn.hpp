/// The oneDNN back end. Only its implementation sees oneDNN's headers.
#pragma once

#include <memory>

#include "ml/backend.hpp"

namespace tramontane {

/// Scalar is float or Bfloat16. Throws InputError where the processor does not compute with 16 bits.
template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_onednn_backend();

}  // namespace tramontane
