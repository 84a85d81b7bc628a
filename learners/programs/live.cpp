#include "learners/programs/live.hpp"

#include <pthread.h>
#include <sys/eventfd.h>
#include <sys/random.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <atomic>
#include <boost/asio/buffer.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http/empty_body.hpp>
#include <boost/beast/http/parser.hpp>
#include <boost/beast/http/read.hpp>
#include <cerrno>
#include <chrono>
#include <csignal>
#include <cstdint>
#include <cstring>
#include <deque>
#include <set>
#include <stdexcept>
#include <string_view>
#include <system_error>
#include <thread>
#include <utility>
#include <vector>

#include "hw/descriptor.hpp"
#include "hw/numbers.hpp"
#include "hw/printable.hpp"
#include "hw/text.hpp"

namespace fewwatt::live {
namespace {

namespace net = boost::asio;
namespace http = boost::beast::http;
using net::ip::tcp;
using Error = boost::system::error_code;
using std::chrono::seconds;

constexpr std::size_t kMostKept = 20'000;     // events
constexpr std::size_t kMostWatchers = 8;      // browsers that get events
constexpr std::size_t kMostConnections = 24;  // with those that ask for the page
constexpr std::size_t kLongestHeader = 8192;  // bytes of a request
constexpr std::size_t kAtOnce = 1 << 16;      // bytes of events in one write, about
constexpr int kBacklog = 16;                  // connections that nobody has accepted yet
constexpr std::size_t kTokenBytes = 16;       // of random bits
constexpr std::size_t kRunBytes = 8;          // likewise
constexpr auto kRequestTime = seconds(5);     // for a request to arrive
constexpr auto kWriteTime = seconds(2);       // for a browser to take what is written
constexpr auto kPageTime = seconds(60);       // the same for the page, over a slow link
constexpr auto kSilence = seconds(15);  // after which a comment is sent, so that a dead connection is noticed
constexpr auto kEndTime = seconds(2);   // for browsers to take what is left at the end
constexpr auto kWithoutDescriptors = seconds(1);  // until accepting is tried again
constexpr int kLowestPriority = 19;

net::ip::address number_of(const std::string& host) {
  Error error;
  const auto address = net::ip::make_address(host, error);
  if (error) throw std::invalid_argument("an address must be a number of IPv4 or IPv6, found " + host);
  return address;
}

std::string in_url(const std::string& host) {
  return host.find(':') == std::string::npos ? host : '[' + host + ']';
}

// Random bytes in hexadecimal.
std::string random_hex(std::size_t bytes) {
  std::string text;
  while (text.size() < 2 * bytes) {
    unsigned char byte = 0;
    if (::getrandom(&byte, 1, 0) != 1) {
      if (errno == EINTR) continue;
      throw std::runtime_error(std::string("--live: no random numbers: ") + std::strerror(errno));
    }
    for (const int digit : {byte >> 4, byte & 15}) text += "0123456789abcdef"[digit];
  }
  return text;
}

// In a time that depends on the lengths alone.
bool is_same_secret(std::string_view a, std::string_view b) {
  if (a.size() != b.size()) return false;
  unsigned different = 0;
  for (std::size_t i = 0; i < a.size(); ++i)
    different |= static_cast<unsigned char>(a[i]) ^ static_cast<unsigned char>(b[i]);
  return different == 0;
}

// The value of a name in "a=1&b=2"; "" for none. Nothing that is looked for needs its escapes undone.
std::string value_in(std::string_view query, std::string_view name) {
  for (const auto pair : hw::split(query, '&')) {
    const auto equals = pair.find('=');
    if (equals != pair.npos && pair.substr(0, equals) == name) return std::string(pair.substr(equals + 1));
  }
  return "";
}

// The name in a Host field, without its port and in small letters.
std::string host_name(std::string_view field) {
  const auto bracket = field.rfind(']'), colon = field.rfind(':');
  if (colon != field.npos && (bracket == field.npos || bracket < colon)) field = field.substr(0, colon);
  std::string name(field);
  std::transform(name.begin(), name.end(), name.begin(),
                 [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; });
  return name;
}

hw::Descriptor listening(const Address& address) {
  const tcp::endpoint endpoint(number_of(address.host), static_cast<std::uint16_t>(address.port));
  hw::Descriptor socket(
      ::socket(endpoint.protocol().family(), SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, IPPROTO_TCP));
  // Else a port would be taken for a minute after each run. Where another program listens, listen() fails all the same.
  const int yes = 1;
  if (socket && ::setsockopt(socket.get(), SOL_SOCKET, SO_REUSEADDR, &yes, sizeof yes) == 0 &&
      ::bind(socket.get(), endpoint.data(), static_cast<socklen_t>(endpoint.size())) == 0 &&
      ::listen(socket.get(), kBacklog) == 0)
    return socket;
  const std::string where = "--live: " + address.text();
  if (errno == EADDRINUSE) throw std::runtime_error(where + " is in use");
  if (errno == EADDRNOTAVAIL) throw std::runtime_error(where + ": this machine has no such address");
  throw std::runtime_error(where + ": cannot listen: " + std::strerror(errno));
}

// Events on their way from those who push to the thread that serves. Neither ever waits for the other: with a lock, who measures would
// wait for a thread of the lowest priority, which may not run for long.
class Inbox {
 public:
  Inbox() = default;
  ~Inbox() { take(); }
  Inbox(const Inbox&) = delete;
  Inbox& operator=(const Inbox&) = delete;

  // Whether there was none before.
  bool add(std::string text) {
    auto* before = last_.load(std::memory_order_relaxed);
    auto* const one = new One{std::move(text), before};
    while (!last_.compare_exchange_weak(before, one, std::memory_order_release, std::memory_order_relaxed))
      one->before = before;
    return before == nullptr;  // `one` may have been taken already
  }

  // All, in the order in which they were added.
  std::vector<std::string> take() {
    std::vector<std::string> texts;
    auto* one = last_.exchange(nullptr, std::memory_order_acquire);
    while (one != nullptr) {
      const std::unique_ptr<One> taken(one);
      one = taken->before;
      texts.push_back(std::move(taken->text));
    }
    std::reverse(texts.begin(), texts.end());
    return texts;
  }

 private:
  struct One {
    std::string text;
    One* before;
  };
  std::atomic<One*> last_ = nullptr;
};

// The beginning of an answer, up to and with the empty line.
std::string head(const std::string& status, const std::string& type, const std::string& more = "") {
  return "HTTP/1.1 " + status + "\r\nContent-Type: " + type + "\r\n" + more +
         "Connection: close\r\nCache-Control: no-store\r\nReferrer-Policy: no-referrer\r\n"
         "X-Content-Type-Options: nosniff\r\nX-Frame-Options: DENY\r\nCross-Origin-Resource-Policy: "
         "same-origin\r\n\r\n";
}

}  // namespace

bool Address::is_loopback() const {
  return number_of(host).is_loopback();
}

std::string Address::text() const {
  return in_url(host) + ':' + std::to_string(port);
}

Address parse_address(const std::string& text) {
  const auto refuse = [&text] {
    throw std::invalid_argument(
        "--live: expected the number of an address and a port, such as 127.0.0.1:8000 or [::1]:8000, found "
        "\"" +
        hw::printable(text) + '"');
  };
  const auto colon = text.rfind(':');
  if (colon == text.npos) refuse();
  auto host = text.substr(0, colon);
  if (host == "localhost") host = Address().host;
  const bool is_bracketed = host.size() > 2 && host.front() == '[' && host.back() == ']';
  if (is_bracketed) host = host.substr(1, host.size() - 2);
  const auto port = hw::whole_int(text.substr(colon + 1), 0, 65535);
  Error error;
  const auto address = net::ip::make_address(host, error);
  if (!port || error || address.is_v6() != is_bracketed) refuse();
  return {address.to_string(), *port};
}

bool is_meant_as_address(const std::string& word) {
  const auto port = word.substr(word.rfind(':') + 1);  // all of it where there is no colon
  return !port.empty() && port.find_first_not_of("0123456789") == port.npos;
}

class Server::Impl {
 public:
  explicit Impl(const Address& address) : run_(random_hex(kRunBytes)) {
    auto socket = listening(address);
    acceptor_.assign(tcp::endpoint(number_of(address.host), 0).protocol(), socket.get());
    socket.release();
    const auto at = acceptor_.local_endpoint();
    std::string host = address.host;
    if (address.is_loopback()) {
      hosts_ = {"localhost", "127.0.0.1", "[::1]", in_url(host)};
    } else {
      token_ = random_hex(kTokenBytes);
      char name[256] = "";
      if (at.address().is_unspecified() && ::gethostname(name, sizeof name - 1) == 0 && name[0] != '\0')
        host = name;
    }
    url_ = "http://" + in_url(host) + ':' + std::to_string(at.port()) + '/';
    if (!token_.empty()) url_ += "?token=" + token_;
    hw::Descriptor wake(::eventfd(0, EFD_CLOEXEC | EFD_NONBLOCK));
    if (!wake) throw std::runtime_error(std::string("--live: no descriptor: ") + std::strerror(errno));
    wake_.assign(wake.get());
    wake_fd_ = wake.release();
  }
  ~Impl() { end(); }

  const std::string& url() const { return url_; }
  const std::string& run() const { return run_; }

  void start(std::string page) {
    page_ = std::move(page);
    wait_for_events();
    wait_for_connections();
    // No signal for this thread: handlers run in the threads of the program that knows them.
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    try {
      thread_ = std::thread([this] { serve(); });
    } catch (...) {
      pthread_sigmask(SIG_SETMASK, &before, nullptr);
      throw;
    }
    pthread_sigmask(SIG_SETMASK, &before, nullptr);
  }

  void push(std::string event) {
    if (serves_no_more_) return;
    if (inbox_.add(std::move(event))) wake();
  }

  void end() {
    if (!thread_.joinable()) return;
    ending_ = true;
    wake();
    thread_.join();
    Error ignored;
    acceptor_.close(ignored);  // whoever comes now is refused, and does not wait
  }

 private:
  class Connection;

  // A write to an eventfd never waits where it is not blocking.
  void wake() {
    const std::uint64_t one = 1;
    [[maybe_unused]] const auto written = ::write(wake_fd_, &one, sizeof one);
  }

  // All below is the serving thread's.
  void serve() {
    ::setpriority(PRIO_PROCESS, static_cast<id_t>(::syscall(SYS_gettid)), kLowestPriority);
    try {
      context_.run();
    } catch (const std::exception&) {
      // Without memory nobody watches any more. What is measured goes on.
    }
    serves_no_more_ = true;
  }

  void wait_for_events() {
    wake_.async_wait(net::posix::stream_descriptor::wait_read, [this](Error error) {
      if (error) return;
      std::uint64_t ignored = 0;
      [[maybe_unused]] const auto got = ::read(wake_fd_, &ignored, sizeof ignored);
      const bool ending = ending_;  // looked at first: what was pushed before that is in the inbox
      for (auto& event : inbox_.take()) events_.push_back(std::move(event));
      for (; events_.size() > kMostKept; ++first_) events_.pop_front();
      if (ending && !ended_) {
        ended_ = true;
        over_.expires_after(kEndTime);
        over_.async_wait([this](Error cancelled) {
          if (!cancelled) context_.stop();
        });
      }
      tell_all();
      wait_for_events();
    });
  }

  void wait_for_connections() {
    acceptor_.async_wait(tcp::acceptor::wait_read, [this](Error error) {
      if (error) return;
      // accept4(), because asio's own sockets would be inherited by programs that are started.
      const int fd = ::accept4(acceptor_.native_handle(), nullptr, nullptr, SOCK_CLOEXEC | SOCK_NONBLOCK);
      if (fd < 0 && errno != EAGAIN && errno != EINTR && errno != ECONNABORTED) return accept_later();
      if (fd >= 0) take_connection(hw::Descriptor(fd));
      wait_for_connections();
    });
  }

  // Where there is no descriptor left, the connection stays and would be reported at once, again and again.
  void accept_later() {
    retry_.expires_after(kWithoutDescriptors);
    retry_.async_wait([this](Error error) {
      if (!error) wait_for_connections();
    });
  }

  void take_connection(hw::Descriptor accepted);
  void tell_all();
  // Appends events from number `next` on, as many as go into one write, and moves `next` behind them.
  void add_events(std::uint64_t& next, std::string& text) const {
    next = std::clamp(next, first_, first_ + events_.size());
    for (; next < first_ + events_.size() && text.size() < kAtOnce; ++next)
      text += "id: " + std::to_string(next) + "\ndata: " + events_[next - first_] + "\n\n";
  }
  bool may_ask(std::string_view host, std::string_view query) const {
    if (!token_.empty()) return is_same_secret(value_in(query, "token"), token_);
    return hosts_.count(host_name(host)) > 0;
  }

  const std::string run_;
  std::set<std::string> hosts_;  // that a request may name, on the loopback
  std::string token_, url_;      // token_: "" on the loopback
  std::string page_;
  Inbox inbox_;
  std::atomic<bool> ending_ = false, serves_no_more_ = false;
  int wake_fd_ = -1;

  net::io_context context_{1};
  tcp::acceptor acceptor_{context_};
  net::posix::stream_descriptor wake_{context_};
  net::steady_timer retry_{context_}, over_{context_};
  std::deque<std::string> events_;
  std::uint64_t first_ = 1;  // number of the first of them
  bool ended_ = false;
  std::size_t connections_ = 0;
  std::set<std::shared_ptr<Connection>> watchers_;
  std::thread thread_;
};

// A browser's request and its answer. It lives as long as something is awaited for it.
class Server::Impl::Connection : public std::enable_shared_from_this<Connection> {
 public:
  Connection(Impl& server, tcp::socket socket) : server_(server), socket_(std::move(socket)) {
    ++server_.connections_;
    parser_.header_limit(kLongestHeader);
  }
  ~Connection() { --server_.connections_; }
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void read_request() {
    within(kRequestTime, [](Connection& self) { self.close(); });
    http::async_read_header(socket_, buffer_, parser_, [self = shared_from_this()](Error error, std::size_t) {
      if (error) return self->close();
      self->answer();
    });
  }

  // Of a browser that gets events: writes what it does not have, unless something is being written.
  void tell() {
    if (is_writing_ || is_closed_) return;
    text_.clear();
    server_.add_events(next_, text_);
    if (text_.empty() && server_.ended_ && !std::exchange(knows_end_, true))
      text_ = "event: end\ndata: {}\n\n";
    if (!text_.empty()) return write();
    if (server_.ended_) return close();
    within(kSilence, [](Connection& self) {
      self.text_ = ": still here\n\n";
      self.write();
    });
  }

 private:
  // Calls act(*this) after that time, unless within() is called again before.
  template <class Act>
  void within(seconds time, const Act& act) {
    timer_.expires_after(time);
    timer_.async_wait([self = shared_from_this(), act](Error error) {
      // One that had passed when it was set again does not count.
      if (!error && !self->is_closed_ && self->timer_.expiry() <= std::chrono::steady_clock::now())
        act(*self);
    });
  }

  void answer() {
    const auto& request = parser_.get();
    const auto view = [](boost::beast::string_view text) {
      return std::string_view(text.data(), text.size());
    };
    const auto target = view(request.target());
    const auto question = target.find('?');
    const auto path = target.substr(0, question);
    const auto query = question == target.npos ? std::string_view() : target.substr(question + 1);
    if (!server_.may_ask(view(request[http::field::host]), query))
      return reply("403 Forbidden", "text/plain", "Open the address that fewwatt printed, with its token.\n");
    if (request.method() != http::verb::get)
      return reply("405 Method Not Allowed", "text/plain", "Only GET is answered.\n");
    if (path == "/") return reply("200 OK", "text/html; charset=utf-8", server_.page_);
    if (path == "/events") return watch(query, view(request["Last-Event-ID"]));
    reply("404 Not Found", "text/plain", "There is a page at / and nothing else.\n");
  }

  void reply(const std::string& status, const std::string& type, const std::string& content) {
    text_ = head(status, type, "Content-Length: " + std::to_string(content.size()) + "\r\n") + content;
    write();
  }

  void watch(std::string_view query, std::string_view last) {
    const std::string begin = head("200 OK", "text/event-stream");
    if (const auto run = value_in(query, "run"); !run.empty() && run != server_.run_) {
      text_ =
          begin + "event: other\ndata: {}\n\n";  // the page is of an earlier run, which had this address too
      return write();
    }
    if (server_.watchers_.size() >= kMostWatchers)
      return reply("503 Service Unavailable", "text/plain", "Too many pages watch this run.\n");
    if (const auto seen = hw::natural_number(last, std::uint64_t{1} << 62)) next_ = *seen + 1;
    server_.watchers_.insert(shared_from_this());
    notice_the_end();
    text_ = begin + "retry: 2000\n\n";
    write();
  }

  bool is_watching() { return server_.watchers_.count(shared_from_this()) > 0; }

  // Reads what a browser that gets events has no reason to send, for the end of its connection.
  void notice_the_end() {
    socket_.async_read_some(net::buffer(ignored_), [self = shared_from_this()](Error error, std::size_t) {
      if (error) return self->close();
      self->notice_the_end();
    });
  }

  void write() {
    is_writing_ = true;
    within(is_watching() ? kWriteTime : kPageTime, [](Connection& self) { self.close(); });
    net::async_write(socket_, net::buffer(text_), [self = shared_from_this()](Error error, std::size_t) {
      self->is_writing_ = false;
      if (error || !self->is_watching()) return self->close();
      self->tell();
    });
  }

  void close() {
    if (std::exchange(is_closed_, true)) return;
    timer_.cancel();
    Error ignored;
    socket_.shutdown(tcp::socket::shutdown_both, ignored);
    socket_.close(ignored);
    server_.watchers_.erase(shared_from_this());
    if (server_.ended_ && server_.watchers_.empty()) server_.context_.stop();
  }

  Impl& server_;
  tcp::socket socket_;
  net::steady_timer timer_{server_.context_};
  boost::beast::flat_buffer buffer_{kLongestHeader};
  http::request_parser<http::empty_body> parser_;
  std::array<char, 256> ignored_{};
  std::string text_;        // that is written
  std::uint64_t next_ = 1;  // number of the event that is written next
  bool is_writing_ = false, is_closed_ = false, knows_end_ = false;
};

void Server::Impl::take_connection(hw::Descriptor accepted) {
  if (connections_ >= kMostConnections) return;  // closes it
  tcp::socket socket(context_);
  Error error;
  socket.assign(acceptor_.local_endpoint().protocol(), accepted.get(), error);
  if (error) return;
  accepted.release();
  socket.set_option(tcp::no_delay(true), error);
  std::make_shared<Connection>(*this, std::move(socket))->read_request();
}

void Server::Impl::tell_all() {
  const std::vector<std::shared_ptr<Connection>> all(watchers_.begin(), watchers_.end());  // some may go
  for (const auto& watcher : all) watcher->tell();
  if (ended_ && watchers_.empty()) context_.stop();
}

Server::Server(const Address& address) : impl_(std::make_unique<Impl>(address)) {}
Server::~Server() = default;

std::string Server::url() const {
  return impl_->url();
}
const std::string& Server::run() const {
  return impl_->run();
}
void Server::start(std::string page) {
  impl_->start(std::move(page));
}
void Server::push(std::string event) {
  impl_->push(std::move(event));
}
void Server::end() {
  impl_->end();
}

}  // namespace fewwatt::live
