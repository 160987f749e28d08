/// A sequence of device kernels recorded once as a CUDA graph and launched as one.
#pragma once

#include <functional>
#include <map>
#include <memory>
#include <string>

namespace tramontane {

/// Graphs by number. In a build without CUDA nothing is recorded and every run is a plain call.
class StepGraph {
 public:
  StepGraph();
  ~StepGraph();
  StepGraph(const StepGraph&) = delete;
  StepGraph& operator=(const StepGraph&) = delete;

  /// Whether this build can record at all.
  static bool available();

  /// Queues the work of `body` on the device: the first time by calling it, which makes what is made only once; the
  /// second time by recording it; from then on without calling it. So everything that changes from step to step must
  /// be read from device memory by what it queues, and `number` must tell apart all that is decided on the host. Where
  /// recording is refused, says so once (ml/notices.hpp) and calls it every time. Nothing else may be queued on the
  /// default instance meanwhile.
  void run(int number, const std::function<void()>& body);

  /// Forgets all recordings: after a change of what the bodies point to.
  void clear();

 private:
  struct Recording;
  std::map<int, std::unique_ptr<Recording>> recordings_;
  bool refused_ = false;
};

}  // namespace tramontane
