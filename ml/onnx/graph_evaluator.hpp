/// Executes an ONNX graph on the host, operator by operator: for networks of other programs.
#pragma once

#include <memory>
#include <vector>

#include "ml/onnx/operators.hpp"

namespace tramontane {

/// A graph of one input and one output that count. Plain loops in single precision, one thread; the result depends on
/// the input alone.
class GraphEvaluator {
 public:
  /// Throws InputError, in one sentence that names the node, on operators, types and operator sets that are not known.
  explicit GraphEvaluator(onnx::ModelProto model);

  /// Throws InputError naming the node whose inputs do not fit.
  Tensor evaluate(Tensor input) const;
  /// Extents of the input as the file states them, -1 where it leaves them open.
  Dimensions input_shape() const;

 private:
  onnx::ModelProto model_;
  std::int64_t operator_set_ = 0;
  std::string input_, output_;
  std::map<std::string, Tensor> constants_;
  std::map<std::string, int> last_use_;  ///< the node after which a value is needed no more
};

}  // namespace tramontane
