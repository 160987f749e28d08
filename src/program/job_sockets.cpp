#include "src/program/job_sockets.hpp"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <memory>

namespace tramontane {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::size_t kLongestMessage = 1 << 20;
constexpr std::size_t kAtOnce = 256;     // connections of one question: far below the limit of open files
constexpr double kConnectSeconds = 1.5;  // for one address of several

double seconds_since(Clock::time_point begin) {
  return std::chrono::duration<double>(Clock::now() - begin).count();
}

std::string token_text(std::uint64_t token) {
  return fmt::format("{:016x} ", token);
}

sockaddr_in address_of(std::uint32_t address, std::uint16_t port) {
  sockaddr_in out = {};
  out.sin_family = AF_INET;
  out.sin_addr.s_addr = address;
  out.sin_port = htons(port);
  return out;
}

/// Sends what the socket takes; false when the connection is lost.
bool send_some(int socket, std::string& text) {
  while (!text.empty()) {
    const ssize_t sent = send(socket, text.data(), text.size(), MSG_NOSIGNAL);
    if (sent < 0) return errno == EAGAIN || errno == EINTR;
    text.erase(0, static_cast<std::size_t>(sent));
  }
  return true;
}

/// Takes what has come; false at the end of the connection.
bool receive_some(int socket, std::string& text) {
  char buffer[4096];
  for (;;) {
    const ssize_t size = recv(socket, buffer, sizeof buffer, 0);
    if (size == 0) return false;
    if (size < 0) return errno == EAGAIN || errno == EINTR;
    text.append(buffer, static_cast<std::size_t>(size));
    if (text.size() > kLongestMessage) return false;
  }
}

/// One question on its way to one process.
class Call {
 public:
  Call(const SocketAddress& target, bool same_host, const std::string& question) : target_(target), to_send_(question) {
    if (same_host) candidates_.push_back(htonl(INADDR_LOOPBACK));
    for (const std::uint32_t address : target.addresses)
      if (address != 0) candidates_.push_back(address);
    if (target_.port == 0) candidates_.clear();
    connect_next();
  }
  ~Call() { close_socket(); }
  Call(const Call&) = delete;
  Call& operator=(const Call&) = delete;

  bool done() const { return answer.came || socket_ < 0; }
  pollfd wanted() const {
    return {socket_, static_cast<short>(is_connected_ && to_send_.empty() ? POLLIN : POLLOUT), 0};
  }
  void move(short events) {
    if (events & POLLNVAL) return;
    if (!is_connected_) {
      if (!(events & (POLLOUT | POLLERR | POLLHUP))) {
        if (candidates_.size() > 0 && seconds_since(begun_) > kConnectSeconds) connect_next();
        return;
      }
      int error = 0;
      socklen_t size = sizeof error;
      getsockopt(socket_, SOL_SOCKET, SO_ERROR, &error, &size);
      if (error != 0) {
        answer.refused = answer.refused || error == ECONNREFUSED;
        connect_next();
        return;
      }
      is_connected_ = true;
    }
    if (!send_some(socket_, to_send_)) return close_socket();
    const bool open = receive_some(socket_, received_);
    if (const std::size_t end = received_.find('\n'); end != std::string::npos) {
      answer = {true, false, received_.substr(0, end)};
      close_socket();
    } else if (!open) {
      close_socket();
    }
  }

  Answer answer;

 private:
  void close_socket() {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
  }
  void connect_next() {
    close_socket();
    while (socket_ < 0 && !candidates_.empty()) {
      const sockaddr_in to = address_of(candidates_.front(), target_.port);
      candidates_.erase(candidates_.begin());
      socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
      if (socket_ < 0) return;
      begun_ = Clock::now();
      is_connected_ = connect(socket_, reinterpret_cast<const sockaddr*>(&to), sizeof to) == 0;
      if (!is_connected_ && errno != EINPROGRESS) {
        answer.refused = answer.refused || errno == ECONNREFUSED;
        close_socket();
      }
    }
  }

  SocketAddress target_;
  std::vector<std::uint32_t> candidates_;
  std::string to_send_, received_;
  int socket_ = -1;
  bool is_connected_ = false;
  Clock::time_point begun_;
};

}  // namespace

JobListener::JobListener(bool one_node) {
  socket_ = socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
  sockaddr_in own = address_of(htonl(one_node ? INADDR_LOOPBACK : INADDR_ANY), 0);
  socklen_t size = sizeof own;
  if (socket_ < 0 || bind(socket_, reinterpret_cast<sockaddr*>(&own), size) != 0 || listen(socket_, SOMAXCONN) != 0 ||
      getsockname(socket_, reinterpret_cast<sockaddr*>(&own), &size) != 0) {
    if (socket_ >= 0) close(socket_);
    socket_ = -1;
    return;  // it can not be asked then, which others see
  }
  address_.port = ntohs(own.sin_port);
  ifaddrs* interfaces = nullptr;
  if (one_node || getifaddrs(&interfaces) != 0) return;
  std::size_t count = 0;
  for (const ifaddrs* one = interfaces; one && count < std::size(address_.addresses); one = one->ifa_next)
    if (one->ifa_addr && one->ifa_addr->sa_family == AF_INET && (one->ifa_flags & IFF_UP) &&
        !(one->ifa_flags & IFF_LOOPBACK))
      address_.addresses[count++] = reinterpret_cast<const sockaddr_in*>(one->ifa_addr)->sin_addr.s_addr;
  freeifaddrs(interfaces);
}

JobListener::~JobListener() {
  for (const Client& client : clients_) close(client.socket);
  if (socket_ >= 0) close(socket_);
}

void JobListener::serve(double seconds, const std::function<std::string(const std::string&)>& answer) {
  std::vector<pollfd> wanted = {{socket_, POLLIN, 0}};  // poll leaves out a negative one
  for (const Client& client : clients_)
    wanted.push_back({client.socket, static_cast<short>(client.to_send.empty() ? POLLIN : POLLIN | POLLOUT), 0});
  poll(wanted.data(), wanted.size(), static_cast<int>(1000 * seconds));
  const std::string token = token_text(token_);
  for (std::size_t k = clients_.size(); k-- > 0;) {
    if (wanted[k + 1].revents == 0) continue;
    Client& client = clients_[k];
    bool open = receive_some(client.socket, client.received);
    for (std::size_t end; (end = client.received.find('\n')) != std::string::npos;) {
      const std::string line = client.received.substr(0, end);
      client.received.erase(0, end + 1);
      if (line.compare(0, token.size(), token) == 0)
        client.to_send += answer(line.substr(token.size())) + '\n';
      else
        open = false;  // a stranger
    }
    if (send_some(client.socket, client.to_send) && open) continue;
    close(client.socket);
    clients_.erase(clients_.begin() + static_cast<std::ptrdiff_t>(k));
  }
  for (int accepted;
       socket_ >= 0 && (accepted = accept4(socket_, nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0;)
    clients_.push_back({accepted, "", ""});
}

std::vector<Answer> ask(const std::vector<SocketAddress>& targets, const std::vector<bool>& same_host,
                        std::uint64_t token, const std::string& question, double seconds) {
  std::vector<Answer> answers(targets.size());
  const std::string text = token_text(token) + question + '\n';
  for (std::size_t first = 0; first < targets.size(); first += kAtOnce) {
    const std::size_t end = std::min(targets.size(), first + kAtOnce);
    std::vector<std::unique_ptr<Call>> calls;
    for (std::size_t k = first; k < end; ++k) calls.push_back(std::make_unique<Call>(targets[k], same_host[k], text));
    const auto begin = Clock::now();
    while (seconds_since(begin) < seconds) {
      std::vector<pollfd> wanted;
      std::vector<Call*> open;
      for (const auto& call : calls)
        if (!call->done()) {
          wanted.push_back(call->wanted());
          open.push_back(call.get());
        }
      if (open.empty()) break;
      poll(wanted.data(), wanted.size(), 50);
      for (std::size_t k = 0; k < open.size(); ++k) open[k]->move(wanted[k].revents);
    }
    for (std::size_t k = first; k < end; ++k) answers[k] = std::move(calls[k - first]->answer);
  }
  return answers;
}

}  // namespace tramontane
