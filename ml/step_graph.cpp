#include "ml/step_graph.hpp"

#include <fmt/format.h>

#include "kernels/errors.hpp"
#include "kernels/types.hpp"
#include "ml/notices.hpp"

#if defined(KOKKOS_ENABLE_CUDA)
#include <cuda_runtime.h>
#endif

namespace tramontane {

#if defined(KOKKOS_ENABLE_CUDA)

struct StepGraph::Recording {
  cudaGraphExec_t graph = nullptr;
  Recording() = default;
  Recording(const Recording&) = delete;
  Recording& operator=(const Recording&) = delete;
  ~Recording() {
    if (graph) cudaGraphExecDestroy(graph);
  }
};

namespace {

/// Records `body` on the stream. Returns null and the reason when CUDA refuses; the body's work is then not queued.
cudaGraphExec_t record(cudaStream_t stream, const std::function<void()>& body, std::string& reason) {
  // Relaxed: other threads (reading ahead, writing) may call CUDA meanwhile, and do not touch this stream.
  cudaError_t status = cudaStreamBeginCapture(stream, cudaStreamCaptureModeRelaxed);
  if (status != cudaSuccess) {
    reason = cudaGetErrorString(status);
    return nullptr;
  }
  std::string thrown;
  try {
    body();
  } catch (const std::exception& error) {
    thrown = error.what();
  }
  cudaGraph_t graph = nullptr;
  status = cudaStreamEndCapture(stream, &graph);
  cudaGraphExec_t executable = nullptr;
  if (status == cudaSuccess && thrown.empty()) status = cudaGraphInstantiate(&executable, graph, 0);
  if (graph) cudaGraphDestroy(graph);
  if (!thrown.empty())
    reason = thrown;
  else if (status != cudaSuccess)
    reason = cudaGetErrorString(status);
  cudaGetLastError();  // a refused capture leaves an error behind that is not the next call's
  return executable;
}

}  // namespace

bool StepGraph::available() {
  return true;
}

void StepGraph::run(int number, const std::function<void()>& body) {
  std::unique_ptr<Recording>& recording = recordings_[number];
  if (refused_ || !recording) {
    recording = std::make_unique<Recording>();
    body();
    return;
  }
  const cudaStream_t stream = ExecutionSpace().cuda_stream();
  if (!recording->graph) {
    std::string reason;
    recording->graph = record(stream, body, reason);
    if (!recording->graph) {
      refused_ = true;
      notice(fmt::format("the training step is not run as a CUDA graph, kernels are launched one by one: {}", reason));
      body();
      return;
    }
  }
  if (const cudaError_t status = cudaGraphLaunch(recording->graph, stream); status != cudaSuccess)
    throw RunError(fmt::format("cudaGraphLaunch of the training step failed: {}", cudaGetErrorString(status)));
}

#else

struct StepGraph::Recording {};

bool StepGraph::available() {
  return false;
}

void StepGraph::run(int, const std::function<void()>& body) {
  body();
}

#endif

StepGraph::StepGraph() = default;
StepGraph::~StepGraph() = default;

void StepGraph::clear() {
  recordings_.clear();
}

}  // namespace tramontane
