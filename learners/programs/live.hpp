#pragma once

// A page that is watched while a program works, and the events that arrive there: HTTP with server-sent events
// (https://html.spec.whatwg.org/multipage/server-sent-events.html).

#include <memory>
#include <string>

namespace fewwatt::live {

// Where to listen.
struct Address {
  std::string host =
      "127.0.0.1";  // the number of an address of this machine, IPv4 or IPv6; 0.0.0.0 or :: = all of them
  int port = 0;     // 0 = any that is free

  bool is_loopback() const;  // whether it is reached from this machine alone
  std::string text() const;  // "127.0.0.1:8000", "[::1]:8000"
};

// What a text such as "127.0.0.1:8000", "localhost:0" or "[::1]:8000" says. Throws std::invalid_argument for any other.
Address parse_address(const std::string& text);

// Whether a word is meant as an address or a port, be it a wrong one, rather than as the name of a program.
bool is_meant_as_address(const std::string& word);

// Serves one page at /, and at /events all that is pushed: first what was pushed before, at most the last 20 000 events. An event has its
// number as id, so that a browser that lost its connection goes on where it was. Events go to 8 browsers at most.
//
// Whoever pushes never waits for a browser or for the thread that serves: there is no lock between them. That thread has the lowest
// priority. No program that is started later inherits a socket. What goes wrong while serving ends a connection, and nothing else.
//
// On the loopback the Host of a request must be a name of the loopback, so that no page from elsewhere reads what is served, by a name
// of its own that leads here. On any other address a request needs the token of 128 random bits that is in url().
class Server {
 public:
  // Listens; browsers wait until start(). Throws std::runtime_error naming the address where that cannot be, for instance because
  // another program listens there.
  explicit Server(const Address& address);
  ~Server();  // end()
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  std::string url() const;  // for a browser; of all addresses of this machine, the one of its name
  const std::string& run()
      const;  // a random name. A page asks for /events?run=NAME, and is told where that is another run's

  void start(
      std::string
          page);  // serves this HTML from now on; to be called once. Throws std::system_error without a thread
  void push(std::string event);  // adds an event: JSON in one line. Any thread may, before start() too
  // Nothing more is pushed: browsers are told so. Returns once they have all that was pushed, or after 2 s, and serves no more.
  void end();

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

}  // namespace fewwatt::live
