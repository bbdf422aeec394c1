# needs: gs
# Text, curves, clipping, a shading and an image, rendered to pixels.
cat > page.ps <<'PS'
%!PS
/Times-Roman findfont 24 scalefont setfont
2 1 6 { /page exch def
  0 10 360 { /a exch def
    gsave 300 400 translate a rotate 0 0 moveto 100 page 10 mul 200 -50 250 page 20 mul curveto
    a 360 div 0.5 page 7 div sethsbcolor page setlinewidth stroke grestore } for
  gsave 100 100 moveto (Page) show page 10 string cvs show grestore
  gsave 100 500 200 200 rectclip
  << /ShadingType 2 /ColorSpace /DeviceRGB /Coords [100 500 300 700]
     /Function << /FunctionType 2 /Domain [0 1] /C0 [1 0 0] /C1 [0 0 1] /N 1 >> >> shfill grestore
  gsave 320 500 translate 150 150 scale
  16 16 8 [16 0 0 16 0 0] { 16 string dup 0 1 15 { dup 16 mul page mul 255 and 3 copy put pop pop dup } for pop } image
  grestore showpage } for
PS
gs -q -dBATCH -dNOPAUSE -dSAFER -r60 -sDEVICE=ppmraw -dNumRenderingThreads=2 -sOutputFile=page%d.ppm page.ps
gs -q -dBATCH -dNOPAUSE -dSAFER -sDEVICE=txtwrite -sOutputFile=- page.ps
cksum page*.ppm
