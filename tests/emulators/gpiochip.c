/* A GPIO chip that is not there, for the genuine lgpio: loaded before libc, it answers for /dev/gpiochip0 and notes every write
   with its time in the file that GPIO_LOG names. Only lines that are outputs. */
#define _GNU_SOURCE
#include <dlfcn.h>
#include <fcntl.h>
#include <linux/gpio.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

static int chip = -1;
static FILE *noted;

static int opened(const char *name, const char *path, int flags, int mode)
{
   int (*real)(const char *, int, ...) = dlsym(RTLD_NEXT, name);
   if (strcmp(path, "/dev/gpiochip0")) return real(path, flags, mode);
   return chip = real("/dev/null", O_RDWR);
}

int open(const char *path, int flags, ...)
{
   va_list more;
   va_start(more, flags);
   int mode = va_arg(more, int);
   va_end(more);
   return opened("open", path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
   va_list more;
   va_start(more, flags);
   int mode = va_arg(more, int);
   va_end(more);
   return opened("open64", path, flags, mode);
}

static void note(struct gpio_v2_line_values *values)
{
   struct { double at; unsigned long long bits, mask; } entry;
   struct timespec now;
   clock_gettime(CLOCK_MONOTONIC, &now);
   if (!noted) noted = fopen(getenv("GPIO_LOG"), "wb");
   entry.at = now.tv_sec + now.tv_nsec * 1e-9;
   entry.bits = values->bits;
   entry.mask = values->mask;
   fwrite(&entry, sizeof entry, 1, noted);
   fflush(noted);
}

int ioctl(int fd, unsigned long request, ...)
{
   va_list more;
   va_start(more, request);
   void *argument = va_arg(more, void *);
   va_end(more);
   if (request == GPIO_GET_CHIPINFO_IOCTL && fd == chip) {
      struct gpiochip_info *info = argument;
      memset(info, 0, sizeof *info);
      strcpy(info->name, "gpiochip0");
      strcpy(info->label, "pinctrl-bcm2711");
      info->lines = 54;
      return 0;
   }
   if (request == GPIO_V2_GET_LINE_IOCTL) {
      ((struct gpio_v2_line_request *)argument)->fd = fcntl(chip, F_DUPFD, 100);
      return 0;
   }
   if (request == GPIO_V2_LINE_SET_VALUES_IOCTL) {
      note(argument);
      return 0;
   }
   int (*real)(int, unsigned long, ...) = dlsym(RTLD_NEXT, "ioctl");
   return real(fd, request, argument);
}
