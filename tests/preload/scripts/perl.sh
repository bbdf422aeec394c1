# needs: perl
# Hashes, closures, regular expressions, children with pipes, a deep structure freed at the end.
export PERL_HASH_SEED=0
cat > main.pl <<'CODE'
use strict;
use warnings;
my %seen;
for my $i (1 .. 60000) {
  my $key = ($i * 7919) % 10007;
  $seen{$key}{count}++;
  push @{ $seen{$key}{items} }, "v$i";
}
my @closures = map { my $n = $_; sub { $n * scalar @{ $seen{17}{items} } } } 1 .. 1000;
my $sum = 0;
$sum += $_->() for @closures;
print "$sum\n";
my $text = join " ", map { "k$_:$seen{$_}{count}" } sort { $a <=> $b } keys %seen;
my $matches = () = $text =~ /k(\d+)5:(\d)/g;
$text =~ s/k(\d+):/reverse($1)/ge;
print "$matches ", length($text), " ", unpack("%32C*", $text), "\n";
for my $child (1 .. 5) {
  my $pid = open(my $pipe, "-|") // die;
  if (!$pid) { print "child $child ", length("x" x ($child * 100000)), "\n"; exit 0; }
  print <$pipe>;
  close $pipe;
}
my $deep = [];
my $inner = $deep;
for (1 .. 20000) { $inner->[0] = []; $inner = $inner->[0]; }
undef $deep;
print "done\n";
CODE
perl main.pl
