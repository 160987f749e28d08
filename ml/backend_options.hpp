/// Choices that only some back ends know.
#pragma once

#include "ml/backend.hpp"

namespace tramontane {

struct BackendOptions {
  bool tf32 = false;           ///< "cudnn" in float: let inputs be rounded to the 10 bits of tf32
  bool deterministic = false;  ///< "cudnn": do not let measured times decide which engine computes
};

/// As make_backend of one argument, which asks for the defaults. Beside the names given there, a build with cuDNN knows
/// "cudnn" (on a GPU; float or Bfloat16), and takes it for "auto".
template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_backend(const std::string& name, const BackendOptions& options);

}  // namespace tramontane
