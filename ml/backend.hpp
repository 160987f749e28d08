/// Back ends of a network: who computes its convolutions, and in which memory. Free of Kokkos, so that a vendor
/// library's adapter can be compiled on its own.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "kernels/network_extents.hpp"
#include "kernels/network_scalar.hpp"

namespace tramontane {

/// Where arrays live: in host memory, or in that of the build's device.
enum class Memory { host, device };

enum class Activation { linear, capped_leaky_relu };
/// max(v, 0.1 v), at most 10 (Weyn et al. 2020): bounded, so that one wild cell cannot carry off a forecast.
inline constexpr double kLeakySlope = 0.1;
inline constexpr double kLeakyCap = 10.0;

/// One convolution layer: `kernel` is 1 or 3, valid on inputs padded by the caller (see ConvolutionExtents).
struct ConvolutionShape {
  ConvolutionExtents extents;
  Activation activation;
};

/// One convolution layer bound to a back end and to its shapes. Array shapes are those of ConvolutionExtents;
/// activations are of type Scalar, parameters and their gradients of type ParameterOf<Scalar>. Every pointer is into
/// the back end's memory. On a device, calls may return before the work is done, but must keep its order with Kokkos'
/// default instance of the device's execution space.
template <class Scalar>
class Convolution {
 public:
  using Parameter = ParameterOf<Scalar>;
  virtual ~Convolution() = default;
  /// Takes over weights (kernel, kernel, in, out) and bias (out), to be called after every change of them. Both
  /// arrays must stay in place until the next call: a back end may repack them for its backward pass only when asked.
  virtual void set_weights(const Parameter* weights, const Parameter* bias) = 0;
  /// y = activation(x * weights + bias); padding channels of y become zero.
  virtual void forward(const Scalar* x, Scalar* y) = 0;
  /// dx from the gradient dy before the activation.
  virtual void backward_data(const Scalar* dy, Scalar* dx) = 0;
  /// Adds to dweights and dbias.
  virtual void backward_weights(const Scalar* x, const Scalar* dy, Parameter* dweights, Parameter* dbias) = 0;
};

template <class Scalar>
class Backend {
 public:
  virtual ~Backend() = default;
  virtual std::string name() const = 0;
  /// Where its convolutions expect their arrays, and so where a network on this back end keeps all of its own.
  virtual Memory memory() const { return Memory::host; }
  /// Throws InputError when the back end cannot compute the shape.
  virtual std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) = 0;
};

/// Names that make_backend knows in this build: "reference" (plain loops), "onednn" (float and Bfloat16) and "stub" (writes
/// zeros: couples without a network).
std::vector<std::string> backend_names();

/// "auto" takes the fastest. Throws InputError on an unknown name, or one that lacks the scalar. Scalar is float,
/// double or Bfloat16.
template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_backend(const std::string& name);

/// The reference back end with its arrays in either memory.
template <class Scalar>
std::shared_ptr<Backend<Scalar>> make_reference_backend(Memory memory);

}  // namespace tramontane
