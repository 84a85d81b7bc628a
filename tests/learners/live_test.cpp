#include "learners/programs/live.hpp"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <set>
#include <stdexcept>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "hw/descriptor.hpp"

namespace fewwatt::live {
namespace live_test {

const std::string kPage = "<p>a page</p>";

// What is between two texts.
std::string between(const std::string& text, const std::string& before, const std::string& after) {
  const auto from = text.find(before) + before.size();
  return text.substr(from, text.find(after, from) - from);
}

int port_of(const Server& server) {
  const auto url = server.url();
  return std::atoi(url.c_str() + url.find(':', 5) + 1);
}

// A connection that gives up after 20 s.
class Client {
 public:
  explicit Client(int port, int family = AF_INET) : socket_(::socket(family, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    const timeval limit{20, 0};
    ::setsockopt(socket_.get(), SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof limit);
    const auto number = htons(static_cast<std::uint16_t>(port));
    sockaddr_in v4{};
    v4.sin_family = AF_INET;
    v4.sin_port = number;
    v4.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sockaddr_in6 v6{};
    v6.sin6_family = AF_INET6;
    v6.sin6_port = number;
    v6.sin6_addr = in6addr_loopback;
    const auto* address =
        family == AF_INET ? reinterpret_cast<const sockaddr*>(&v4) : reinterpret_cast<const sockaddr*>(&v6);
    if (::connect(socket_.get(), address, family == AF_INET ? sizeof v4 : sizeof v6) != 0)
      throw std::runtime_error("cannot connect");
  }
  void send(const std::string& text) { ::send(socket_.get(), text.data(), text.size(), MSG_NOSIGNAL); }
  // What arrives until it contains `last`; "" as `last`: until the end of the connection.
  std::string until(const std::string& last = "") {
    std::string got;
    char some[4096];
    while (last.empty() || got.find(last) == got.npos) {
      const auto count = ::recv(socket_.get(), some, sizeof some, 0);
      if (count <= 0) break;
      got.append(some, static_cast<std::size_t>(count));
    }
    return got;
  }
  void close() { socket_ = hw::Descriptor(); }

 private:
  hw::Descriptor socket_;
};

Client asking(int port, const std::string& target, const std::string& more = "",
              const std::string& host = "localhost") {
  Client client(port);
  client.send("GET " + target + " HTTP/1.1\r\nHost: " + host + "\r\n" + more + "\r\n");
  return client;
}

std::string answer(int port, const std::string& target, const std::string& more = "",
                   const std::string& host = "localhost") {
  return asking(port, target, more, host).until();
}

TEST(LiveAddress, IsTheNumberOfAnAddressAndAPort) {
  for (const auto& [text, host, port] : {std::tuple("127.0.0.1:8000", "127.0.0.1", 8000),
                                         {"localhost:0", "127.0.0.1", 0},
                                         {"[::1]:65535", "::1", 65535},
                                         {"0.0.0.0:80", "0.0.0.0", 80}}) {
    const auto address = parse_address(text);
    EXPECT_EQ(address.host, host);
    EXPECT_EQ(address.port, port);
  }
  EXPECT_EQ(parse_address("[::1]:80").text(), "[::1]:80");
  EXPECT_TRUE(parse_address("127.3.2.1:80").is_loopback());
  EXPECT_FALSE(parse_address("0.0.0.0:80").is_loopback());
  for (const char* bad : {"", ":", "8000", ":8000", "127.0.0.1", "127.0.0.1:", "127.0.0.1:65536",
                          "127.0.0.1:-1", "127.0.0.1:80a", "::1:80", "[127.0.0.1]:80", "300.0.0.1:80",
                          "example.org:80", "[::1]80", "127.0.0.1:80\n"})
    EXPECT_THROW(parse_address(bad), std::invalid_argument) << bad;
}

TEST(LiveAddress, AWordBehindTheOptionIsOneOrTheNameOfAProgram) {
  for (const char* word : {"127.0.0.1:8000", "8000", "300.0.0.1:80", "[::1]:1", "host:1"})
    EXPECT_TRUE(is_meant_as_address(word)) << word;
  for (const char* word : {"", "train.py", "scripts/toy_workload", "a:b", "127.0.0.1:"})
    EXPECT_FALSE(is_meant_as_address(word)) << word;
}

TEST(LiveServer, ServesThePageAndWhatArrives) {
  Server server({});
  server.push("{\"a\":1}");  // before a page was there
  server.start(kPage);
  const auto page = answer(port_of(server), "/");
  EXPECT_TRUE(page.starts_with("HTTP/1.1 200 OK\r\n")) << page;
  EXPECT_TRUE(page.ends_with("\r\n\r\n" + kPage));
  auto events = asking(port_of(server), "/events?run=" + server.run());
  EXPECT_NE(events.until("id: 1\ndata: {\"a\":1}\n\n").find("Content-Type: text/event-stream\r\n"),
            std::string::npos);
  server.push("{\"a\":2}");
  EXPECT_NE(events.until("\n\n").find("id: 2\ndata: {\"a\":2}"), std::string::npos);
  server.push("{\"a\":3}");
  server.end();
  const auto rest = events.until();
  EXPECT_NE(rest.find("id: 3\n"), std::string::npos);
  EXPECT_NE(rest.find("event: end\n"), std::string::npos);
}

TEST(LiveServer, WhoLostTheConnectionGoesOnAfterTheLastEvent) {
  Server server({});
  server.start(kPage);
  for (const char* event : {"1", "2", "3"}) server.push(event);
  const auto got = asking(port_of(server), "/events", "Last-Event-ID: 2\r\n").until("id: 3\n");
  EXPECT_EQ(got.find("id: 2\n"), std::string::npos);
  EXPECT_NE(got.find("id: 3\n"), std::string::npos);
  // A page of another run, which had this address before.
  EXPECT_NE(answer(port_of(server), "/events?run=another").find("event: other\n"), std::string::npos);
}

TEST(LiveServer, APortInUseIsNamed) {
  Server server({});
  const Address taken{"127.0.0.1", port_of(server)};
  try {
    Server second(taken);
    FAIL();
  } catch (const std::runtime_error& e) {
    EXPECT_EQ(e.what(), "--live: " + taken.text() + " is in use");
  }
  EXPECT_THROW(Server({"203.0.113.9", 0}), std::runtime_error);  // of no machine
}

TEST(LiveServer, ListensOnTheLoopbackOfIpv6Too) {
  try {
    Server server({"::1", 0});
    server.start(kPage);
    EXPECT_TRUE(server.url().starts_with("http://[::1]:")) << server.url();
    const auto port = std::atoi(server.url().c_str() + server.url().rfind(':') + 1);
    Client client(port, AF_INET6);
    client.send("GET / HTTP/1.1\r\nHost: [::1]:" + std::to_string(port) + "\r\n\r\n");
    EXPECT_TRUE(client.until().ends_with(kPage));
  } catch (const std::runtime_error& e) {  // a machine without IPv6
    EXPECT_TRUE(std::string(e.what()).starts_with("--live: [::1]:0")) << e.what();
  }
}

TEST(LiveServer, OnTheLoopbackOnlyItsNamesAreAnswered) {
  Server server({});
  server.start(kPage);
  const int port = port_of(server);
  for (const char* host : {"localhost", "LOCALHOST:80", "127.0.0.1", "[::1]:8000"})
    EXPECT_TRUE(answer(port, "/", "", host).starts_with("HTTP/1.1 200")) << host;
  for (const char* host : {"example.org", "127.0.0.1.example.org", "", "localhost.example.org:80"}) {
    const auto refused = answer(port, "/", "", host);
    EXPECT_TRUE(refused.starts_with("HTTP/1.1 403")) << host;
    EXPECT_EQ(refused.find(kPage), std::string::npos);
  }
  EXPECT_TRUE(answer(port, "/else").starts_with("HTTP/1.1 404"));
  Client post(port);
  post.send("POST / HTTP/1.1\r\nHost: localhost\r\nContent-Length: 0\r\n\r\n");
  EXPECT_TRUE(post.until().starts_with("HTTP/1.1 405"));
}

TEST(LiveServer, ElsewhereNobodyIsAnsweredWithoutTheToken) {
  Server server({"0.0.0.0", 0});
  server.start(kPage);
  const auto url = server.url();
  const auto token = url.substr(url.find("?token=") + 7);
  EXPECT_EQ(token.size(), 32u) << url;
  const auto port = std::atoi(between(url.substr(7), ":", "/").c_str());
  EXPECT_TRUE(answer(port, "/?token=" + token, "", "any.name").starts_with("HTTP/1.1 200"));
  EXPECT_TRUE(asking(port, "/events?token=" + token).until("\r\n").starts_with("HTTP/1.1 200"));
  for (const std::string target : {"/", "/?token=", "/events"})
    EXPECT_TRUE(answer(port, target).starts_with("HTTP/1.1 403")) << target;
  auto wrong = token;
  wrong.back() = wrong.back() == '0' ? '1' : '0';
  for (const auto& other : {wrong, token.substr(1), token + "0"})
    EXPECT_TRUE(answer(port, "/?token=" + other).starts_with("HTTP/1.1 403"));
}

TEST(LiveServer, WhatIsNoRequestEndsItsConnectionAlone) {
  Server server({});
  server.start(kPage);
  for (const auto& text : {std::string("\0\x16\x03 nonsense\r\n\r\n", 15),
                           "GET / HTTP/1.1\r\nHost: " + std::string(20'000, 'a')}) {
    Client client(port_of(server));
    client.send(text);
    EXPECT_EQ(client.until().find(kPage), std::string::npos);
  }
  EXPECT_TRUE(answer(port_of(server), "/").starts_with("HTTP/1.1 200"));
}

TEST(LiveServer, BrowsersThatGoAwayOrReadNothingHoldNobodyUp) {
  Server server({});
  server.start(kPage);
  auto silent = asking(port_of(server), "/events");
  auto leaving = asking(port_of(server), "/events");
  server.push("{}");
  leaving.until("data: {}");
  leaving.close();
  // Far more than a socket takes.
  const std::string row(1000, 'x');
  for (int i = 2; i <= 20'000; ++i) server.push(row);
  EXPECT_NE(
      asking(port_of(server), "/events", "Last-Event-ID: 19999\r\n").until("id: 20000\n").find("id: 20000\n"),
      std::string::npos);
}

TEST(LiveServer, HasBoundsOnPagesAndEvents) {
  Server server({});
  server.start(kPage);
  std::vector<Client> all;
  for (int i = 0; i < 8; ++i) {
    all.push_back(asking(port_of(server), "/events"));
    EXPECT_NE(all.back().until("retry: ").find("retry: "), std::string::npos);
  }
  EXPECT_TRUE(answer(port_of(server), "/events").starts_with("HTTP/1.1 503"));
  EXPECT_TRUE(answer(port_of(server), "/").starts_with("HTTP/1.1 200"));
  all.clear();
  for (int i = 1; i <= 20'005; ++i) server.push("{}");
  // The serving thread may still be at work on those that have gone.
  std::string got;
  for (int i = 0; i < 100 && got.find("id: 20005\n") == got.npos; ++i)
    got = asking(port_of(server), "/events").until("id: 20005\n");
  EXPECT_EQ(between(got, "id: ", "\n"), "6");
}

TEST(LiveServer, HasABoundOnConnectionsThatAskForNothing) {
  Server server({});
  server.start(kPage);
  std::vector<Client> idle;
  for (int i = 0; i < 24; ++i) idle.emplace_back(port_of(server));
  EXPECT_EQ(answer(port_of(server), "/"), "");  // closed: there are too many
  idle.clear();
  std::string got;  // the serving thread may still be at work on those that have gone
  for (int i = 0; i < 1000 && got.empty(); ++i) got = answer(port_of(server), "/");
  EXPECT_TRUE(got.starts_with("HTTP/1.1 200")) << got;
}

TEST(LiveServer, NoProgramThatIsStartedInheritsASocket) {
  std::set<std::string> before;  // of who started the tests
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) before.insert(entry.path());
  Server server({});
  server.start(kPage);
  auto events = asking(port_of(server), "/events");
  events.until("retry: ");
  // By their names: the serving thread may close its own at any time.
  int sockets = 0;
  for (const auto& entry : std::filesystem::directory_iterator("/proc/self/fd")) {
    std::error_code gone;
    if (before.contains(entry.path())) continue;
    if (!std::filesystem::read_symlink(entry.path(), gone).string().starts_with("socket:")) continue;
    std::ifstream info("/proc/self/fdinfo/" + entry.path().filename().string());
    unsigned flags = 0;
    for (std::string word; info >> word;)
      if (word == "flags:") info >> std::oct >> flags;
    ++sockets;
    EXPECT_NE(flags & O_CLOEXEC, 0U) << "descriptor " << entry.path();
  }
  EXPECT_GE(sockets, 3);  // the one that listens, both ends of the connection
}

TEST(LiveServer, EndsWithoutAnybodyWatching) {
  Server never_started({});
  Server server({});
  server.start(kPage);
  server.push("{}");
  server.end();
  server.end();
  EXPECT_THROW(Client(port_of(server)).until(), std::runtime_error);
}

}  // namespace live_test
}  // namespace fewwatt::live
