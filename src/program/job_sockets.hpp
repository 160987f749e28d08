/// Questions and answers between the processes of a job over TCP, beside MPI: usable from any thread, and while every
/// main thread sits in a call of MPI.
#pragma once

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace tramontane {

/// Where a process listens. Fixed layout: it is exchanged as bytes.
struct SocketAddress {
  std::uint32_t addresses[4] = {};  ///< IPv4, network order; unused ones 0
  std::uint16_t port = 0;           ///< host order; 0: it could not listen
  std::uint16_t reserved = 0;
};

/// One listening socket and its open connections. A message is one line that begins with the job's token.
class JobListener {
 public:
  /// @param one_node listens on the loopback interface alone
  explicit JobListener(bool one_node);
  ~JobListener();
  JobListener(const JobListener&) = delete;
  JobListener& operator=(const JobListener&) = delete;

  SocketAddress address() const { return address_; }
  void set_token(std::uint64_t token) { token_ = token; }
  /// Waits up to `seconds` for messages, and answers those that are whole with what `answer` makes of them.
  void serve(double seconds, const std::function<std::string(const std::string&)>& answer);

 private:
  struct Client {
    int socket;
    std::string received, to_send;
  };
  int socket_ = -1;
  SocketAddress address_;
  std::uint64_t token_ = 0;
  std::vector<Client> clients_;
};

struct Answer {
  bool came = false, refused = false;  ///< refused: the host answers, the process does not listen any more
  std::string text;
};

/// Asks all of them the same at once and waits up to `seconds` for their answers.
/// @param same_host by target: the loopback interface leads there
std::vector<Answer> ask(const std::vector<SocketAddress>& targets, const std::vector<bool>& same_host,
                        std::uint64_t token, const std::string& question, double seconds);

}  // namespace tramontane
