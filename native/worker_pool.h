// Threads that wait for work: starting one costs as much as a small convolution.

#ifndef MASKRCNN_WORKER_POOL_H_
#define MASKRCNN_WORKER_POOL_H_

#include <algorithm>
#include <condition_variable>
#include <cstdlib>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>
#ifdef __linux__
#include <sched.h>
#endif

namespace maskrcnn {

class WorkerPool {
 public:
  /// The pool of the process; it is never destroyed, for its threads end with the process.
  static WorkerPool &Get() {
    static WorkerPool *const pool = new WorkerPool(TensorFlowThreads());
    return *pool;
  }

  size_t threads() const { return threads_; }

  /// Calls task(0) here and, where threads are free, task(1), task(2)... below `count` on others. Returns when all calls have: a task takes its
  /// share of the work from a counter, and none relies on being called more than once. May be called by several threads at a time.
  void Run(size_t count, const std::function<void(size_t)> &task) {
    Job job(&task, count);
    std::unique_lock<std::mutex> lock(mutex_);
    if (count > 1) {
      jobs_.push_back(&job);
      work_.notify_all();
    }
    lock.unlock();
    task(0);
    lock.lock();
    jobs_.erase(std::remove(jobs_.begin(), jobs_.end(), &job), jobs_.end());
    done_.wait(lock, [&] { return job.running == 0; });
  }

 private:
  struct Job {
    const std::function<void(size_t)> *task;
    size_t count;
    size_t started = 1;
    size_t running = 0;
    Job(const std::function<void(size_t)> *t, size_t n) : task(t), count(n) {}
  };

  explicit WorkerPool(size_t threads) : threads_(threads) {
    for (size_t t = 1; t < threads; ++t) std::thread([this] { Work(); }).detach();
  }

  /// As many as TensorFlow takes for one operation.
  static size_t TensorFlowThreads() {
    const char *told = std::getenv("TF_NUM_INTRAOP_THREADS");
    if (told && std::atoi(told) > 0) return std::atoi(told);
#ifdef __linux__
    cpu_set_t allowed;
    if (sched_getaffinity(0, sizeof(allowed), &allowed) == 0 && CPU_COUNT(&allowed) > 0) return CPU_COUNT(&allowed);
#endif
    return std::max(1u, std::thread::hardware_concurrency());
  }

  void Work() {
    std::unique_lock<std::mutex> lock(mutex_);
    while (true) {
      work_.wait(lock, [this] { return !jobs_.empty(); });
      Job *job = jobs_.front();
      const size_t index = job->started++;
      ++job->running;
      if (job->started == job->count) jobs_.pop_front();
      lock.unlock();
      (*job->task)(index);
      lock.lock();
      // The job lives on its caller's stack, which waits for this.
      if (--job->running == 0) done_.notify_all();
    }
  }

  const size_t threads_;
  std::mutex mutex_;
  std::condition_variable work_, done_;
  std::deque<Job *> jobs_;
};

}  // namespace maskrcnn

#endif  // MASKRCNN_WORKER_POOL_H_
