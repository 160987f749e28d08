/// A back end that measures another one: processor seconds of each pass of all its convolutions together.
#pragma once

#include <memory>

#include "ml/backend.hpp"
#include "tests/benchmarks/measurement.hpp"

namespace tramontane {

struct ConvolutionSeconds {
  double weights = 0;  ///< taking over new weights
  double forward = 0, backward_data = 0, backward_weights = 0;
  double sum() const { return weights + forward + backward_data + backward_weights; }
};

template <class Scalar>
class TimedBackend final : public Backend<Scalar> {
 public:
  TimedBackend(std::shared_ptr<Backend<Scalar>> inner, ConvolutionSeconds& seconds)
      : inner_(std::move(inner)), seconds_(seconds) {}
  std::string name() const override { return inner_->name(); }
  std::unique_ptr<Convolution<Scalar>> convolution(const ConvolutionShape& shape) override {
    return std::make_unique<Timed>(inner_->convolution(shape), seconds_);
  }

 private:
  class Timed final : public Convolution<Scalar> {
   public:
    using Parameter = ParameterOf<Scalar>;
    Timed(std::unique_ptr<Convolution<Scalar>> inner, ConvolutionSeconds& seconds)
        : inner_(std::move(inner)), seconds_(seconds) {}
    void set_weights(const Parameter* weights, const Parameter* bias) override {
      timed(seconds_.weights, [&] { inner_->set_weights(weights, bias); });
    }
    void forward(const Scalar* x, Scalar* y) override {
      timed(seconds_.forward, [&] { inner_->forward(x, y); });
    }
    void backward_data(const Scalar* dy, Scalar* dx) override {
      timed(seconds_.backward_data, [&] { inner_->backward_data(dy, dx); });
    }
    void backward_weights(const Scalar* x, const Scalar* dy, Parameter* dweights, Parameter* dbias) override {
      timed(seconds_.backward_weights, [&] { inner_->backward_weights(x, dy, dweights, dbias); });
    }

   private:
    template <class Work>
    static void timed(double& total, const Work& work) {
      const double began = processor_seconds();
      work();
      total += processor_seconds() - began;
    }
    std::unique_ptr<Convolution<Scalar>> inner_;
    ConvolutionSeconds& seconds_;
  };
  std::shared_ptr<Backend<Scalar>> inner_;
  ConvolutionSeconds& seconds_;
};

}  // namespace tramontane
